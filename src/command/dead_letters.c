/*
 * pgsinkd dead-letters: lists or shows what could not be stored, asks the daemon to try it again,
 * or deletes it. Only the database is asked; the running daemon does a replay. Main thread.
 */
#include "command/command.h"

#include "base/clock.h"
#include "command/letter_text.h"
#include "pg/conn.h"
#include "pg/sqlstate.h"
#include "sink/plan/prepare.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define LOOK_MS 200 /* how often --wait looks */

struct dead_letters {
    const struct command_args *args;
    struct letters *letters;
};

static const char *plural(int64_t n)
{
    return n == 1 ? "dead letter" : "dead letters";
}

/* ---- list, show ---- */

static bool print_all(struct dead_letters *d, bool whole, struct error *err)
{
    const struct letter *letter = NULL;
    _cleanup_buf_ struct buf out = {0};

    if (!letters_read(d->letters, whole, err)) {
        return false;
    }
    for (;;) {
        if (!letters_next(d->letters, &letter, err)) {
            return false;
        }
        if (letter == NULL) {
            return true;
        }
        buf_clear(&out);
        if (d->args->json) {
            letter_text_json(letter, whole, &out);
        } else if (whole) {
            letter_text_full(letter, &out);
        } else {
            letter_text_line(letter, &out);
        }
        fwrite(out.p, 1, out.n, stdout);
    }
}

static bool list(struct dead_letters *d, enum exit_code *out_code, struct error *err)
{
    (void) out_code;
    return print_all(d, false, err);
}

static bool show(struct dead_letters *d, enum exit_code *out_code, struct error *err)
{
    (void) out_code;
    return print_all(d, true, err);
}

/* ---- replay, discard ---- */

static bool wait_for_daemon(struct dead_letters *d, int64_t asked, enum exit_code *out_code,
                            struct error *err)
{
    struct letters_progress p = {.waiting = asked};

    for (;;) {
        if (!letters_progress(d->letters, &p, err)) {
            return false;
        }
        if (p.waiting == 0) {
            break;
        }
        (void) poll(NULL, 0, LOOK_MS);
    }
    printf("%" PRId64 " stored, %" PRId64 " failed again\n", asked - p.failed, p.failed);
    *out_code = p.failed > 0 ? EXIT_FAULT : EXIT_OK;
    return true;
}

static bool replay(struct dead_letters *d, enum exit_code *out_code, struct error *err)
{
    int64_t n = 0;

    if (!letters_replay(d->letters, &n, err)) {
        return false;
    }
    printf("%" PRId64 " %s to be replayed by the daemon of sink '%s'\n", n, plural(n),
           d->args->cfg->sink);
    fflush(stdout);
    return n == 0 || !d->args->wait || wait_for_daemon(d, n, out_code, err);
}

static bool discard(struct dead_letters *d, enum exit_code *out_code, struct error *err)
{
    int64_t n = 0;

    (void) out_code;
    if (!letters_discard(d->letters, &n, err)) {
        return false;
    }
    printf("%" PRId64 " %s discarded\n", n, plural(n));
    return true;
}

/* ---- the words ---- */

struct word {
    const char *name;
    bool prints; /* may have --json */
    bool (*run)(struct dead_letters *d, enum exit_code *out_code, struct error *err);
};

static const struct word WORDS[] = {
    {"list", true, list},
    {"show", true, show},
    {"replay", false, replay},
    {"discard", false, discard},
};

static const struct word *find_word(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(WORDS); i++) {
        if (strcmp(WORDS[i].name, name) == 0) {
            return &WORDS[i];
        }
    }
    return NULL;
}

static bool is_number(const char *text, int64_t max)
{
    int64_t n = 0;

    return text == NULL || (str_to_i64(str_of(text), &n) && n >= 0 && n <= max);
}

/* A limit alone says how many, not which. */
static bool says_which(const struct command_args *args)
{
    for (size_t i = 0; i < LETTERS_LIMIT; i++) {
        if (args->terms[i] != NULL) {
            return true;
        }
    }
    return false;
}

/* What is wrong with the command line, or NULL. */
static const char *find_misuse(const struct command_args *args, const struct word *word)
{
    if (word == NULL) {
        return "the word is list, show, replay or discard";
    }
    if (args->json && !word->prints) {
        return "--json is for list and show";
    }
    if (args->wait && word->run != replay) {
        return "--wait is for replay";
    }
    if (args->yes && word->run != discard) {
        return "--yes is for discard";
    }
    if (!is_number(args->terms[LETTERS_PARTITION], INT32_MAX) ||
        !is_number(args->terms[LETTERS_OFFSET], INT64_MAX) ||
        !is_number(args->terms[LETTERS_LIMIT], INT64_MAX)) {
        return "--partition, --offset and --limit take a whole number";
    }
    if (word->run == discard && !args->yes && !says_which(args)) {
        return "say which ones, or --yes for all of this sink";
    }
    return NULL;
}

static bool run_word(struct dead_letters *d, struct conn *c, const struct word *word,
                     enum exit_code *out_code, struct error *err)
{
    return conn_open_wait(c, -1, err) &&
           command_check_schema(c, d->args->cfg->postgres.schema, err) &&
           word->run(d, out_code, err);
}

enum exit_code command_dead_letters(const struct command_args *args)
{
    const struct word *word = find_word(args->words[0]);
    const char *misuse = find_misuse(args, word);
    struct letters_choice choice = {.sink = args->cfg->sink};
    struct error err;
    enum exit_code code = EXIT_OK;

    if (misuse != NULL) {
        fprintf(stderr, "pgsinkd dead-letters: %s\n", misuse);
        return EXIT_USAGE;
    }
    memcpy(choice.terms, args->terms, sizeof choice.terms);
    struct conn_settings settings = prepare_conn_settings(args->cfg, "pgsinkd dead-letters");
    struct conn *c = conn_new(&settings);
    struct dead_letters d = {args, letters_new(c, args->cfg->postgres.schema, &choice)};
    if (!run_word(&d, c, word, &code, &err)) {
        command_fault(&err);
        /* data exception: a term, as of --since */
        code = sqlstate_is(err.sqlstate, "22") ? EXIT_USAGE : EXIT_TARGET;
    }
    letters_free(d.letters);
    conn_free(c);
    return code;
}
