/*
 * pgsinkd dead-letters: lists or shows what could not be stored, asks the daemon to try it again,
 * or deletes it. Only the database is asked; the running daemon does a replay. Main thread.
 */
#include "command/command.h"

#include "base/clock.h"
#include "base/mem.h"
#include "command/letter_text.h"
#include "command/place.h"
#include "config/units.h"
#include "host/terminal.h"
#include "pg/conn.h"
#include "pg/control.h"
#include "pg/sqlstate.h"
#include "sink/plan/plan.h"
#include "sink/plan/prepare.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define LOOK_MS 200 /* how often --wait looks */

struct dead_letters {
    const struct command_args *args;
    struct letters *letters;
    struct conn *conn;
    struct record_place place; /* of the word that names one */
    bool misused;              /* the fault is one of the command line */
    bool missing;              /* the one letter that was asked for is not there */
};

static const char *plural(int64_t n)
{
    return n == 1 ? "dead letter" : "dead letters";
}

/* ---- what there is nothing of ---- */

/* A limit alone says how many, not which. */
static bool says_which(const struct command_args *args)
{
    if (args->words[1] != NULL) {
        return true;
    }
    for (size_t i = 0; i < LETTERS_LIMIT; i++) {
        if (args->terms[i] != NULL) {
            return true;
        }
    }
    return false;
}

static bool has_route(const struct config *cfg, const char *name)
{
    for (size_t i = 0; i < cfg->route_count; i++) {
        if (strcmp(cfg->routes[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool takes_topic(const struct config *cfg, const char *topic)
{
    struct plan *plan = plan_new(cfg);
    bool taken = plan_takes(plan, topic);

    plan_free(plan);
    return taken;
}

/* The nearest name, or one that begins with another schema. */
static bool unknown(const char *what, const char *given, const struct config *cfg,
                    const char *const *names, size_t n, struct error *err)
{
    const char *near = str_nearest(given, names, n);

    for (size_t i = 0; i < n && near == NULL; i++) {
        const char *dot = strchr(names[i], '.');
        near = dot != NULL && strcmp(dot + 1, given) == 0 ? names[i] : NULL;
    }
    error_set(err, ERROR_SETUP, "sink '%s' has no %s '%s', and no dead letters of it", cfg->sink,
              what, given);
    if (near != NULL) {
        return error_hint(err, "Did you mean '%s'?", near);
    }
    return n == 1 ? error_hint(err, "It has '%s'.", names[0]) : false;
}

/* Names of the file; the caller frees the array. */
static const char **route_names(const struct config *cfg)
{
    const char **names = mem_array(cfg->route_count, sizeof *names);

    for (size_t i = 0; i < cfg->route_count; i++) {
        names[i] = cfg->routes[i].name;
    }
    return names;
}

/* Nothing was chosen: by a name that does not exist? A route that has left the file may still have
 * letters, so names are looked at only now. */
static bool check_names(struct dead_letters *d, struct error *err)
{
    const struct config *cfg = d->args->cfg;
    const char *route = d->args->terms[LETTERS_ROUTE];
    const char *topic = d->args->words[1] != NULL ? d->place.topic : d->args->terms[LETTERS_TOPIC];

    if (route != NULL && !has_route(cfg, route)) {
        _cleanup_mem_ const char **names = route_names(cfg);
        d->misused = true;
        return unknown("route", route, cfg, names, cfg->route_count, err);
    }
    if (topic != NULL && !takes_topic(cfg, topic)) {
        size_t n;
        _cleanup_mem_ const char **names = command_topic_names(cfg, 0, &n);
        d->misused = true;
        return unknown("topic", topic, cfg, names, n, err);
    }
    return true;
}

/* ---- list, show ---- */

/* An empty answer looks like a mistake to a person, and is none to a script. */
static bool nothing(struct dead_letters *d, struct error *err)
{
    const char *word = d->args->words[1];

    if (!check_names(d, err)) {
        return false;
    }
    if (word != NULL && strchr(word, '@') != NULL) {
        d->missing = true;
        error_set(err, ERROR_SETUP, "sink '%s' has no dead letter '%s'", d->args->cfg->sink, word);
        return error_hint(err, "`pgsinkd dead-letters list` prints the place of each.");
    }
    if (terminal_is_there()) {
        fprintf(stderr, "sink '%s' has no %sdead letters\n", d->args->cfg->sink,
                says_which(d->args) ? "such " : "");
    }
    return true;
}

static bool print_all(struct dead_letters *d, bool whole, struct error *err)
{
    const struct letter *letter = NULL;
    _cleanup_buf_ struct buf out = {0};
    bool any = false;

    if (!letters_read(d->letters, whole, err)) {
        return false;
    }
    for (;;) {
        if (!letters_next(d->letters, &letter, err)) {
            return false;
        }
        if (letter == NULL) {
            return any || nothing(d, err);
        }
        any = true;
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

/* Who waits for a daemon wants to know that there is none. */
static void look_for_daemon(struct dead_letters *d)
{
    const struct config *cfg = d->args->cfg;
    const struct control k = {d->conn, cfg->postgres.schema, cfg->sink};
    struct error ignored;
    bool runs = false;
    _cleanup_listing_ struct listing found = {0};

    if (!control_list(&k, CONTROL_INSTANCES, NULL, &found, &ignored)) {
        return; /* without the right to know */
    }
    for (size_t i = 0; i < found.row_count; i++) {
        runs |= strcmp(listing_cell(&found, i, INSTANCE_STATE), "runs") == 0;
    }
    if (!runs) {
        fprintf(stderr, "no daemon of sink '%s' is running: this waits until one does\n",
                cfg->sink);
    }
}

static bool wait_for_daemon(struct dead_letters *d, int64_t asked, enum exit_code *out_code,
                            struct error *err)
{
    struct letters_progress p = {.waiting = asked};

    look_for_daemon(d);
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

    if (!letters_replay(d->letters, &n, err) || (n == 0 && !check_names(d, err))) {
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
    if (!letters_discard(d->letters, &n, err) || (n == 0 && !check_names(d, err))) {
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
    bool has_place = args->terms[LETTERS_TOPIC] != NULL || args->terms[LETTERS_PARTITION] != NULL ||
                     args->terms[LETTERS_OFFSET] != NULL;
    if (args->words[1] != NULL && has_place) {
        return "the place says which: leave out --topic, --partition and --offset";
    }
    if (word->run == discard && !args->yes && !says_which(args)) {
        return "say which ones, or --yes for all of this sink";
    }
    return NULL;
}

/* ---- times ---- */

/* A duration before now, as a time; anything else stays for PostgreSQL to read. Returns the text,
 * which may be in *out. */
static const char *time_of(const char *term, struct buf *out)
{
    usec_t ago = 0;

    if (term == NULL || units_duration(str_of(term), &ago) != UNITS_OK) {
        return term;
    }
    units_print_time(clock_wall_ms() - (int64_t) (ago / USEC_PER_MSEC), out);
    return buf_cstr(out);
}

/* Data exceptions are those of a term. */
static bool is_bad_term(struct error *err)
{
    if (!sqlstate_is(err->sqlstate, "22")) {
        return false;
    }
    if (sqlstate_is(err->sqlstate, "22007") || sqlstate_is(err->sqlstate, "22008")) {
        error_hint(err, "--since and --until take a time such as 2026-11-29T06:00:00Z, '2026-11-29 "
                        "06:00' or yesterday, or a duration before now: 90m, 36h.");
    }
    return true;
}

/* The place as terms; its numbers become the texts in the buffers. False: it is none, which is
 * said.
 */
static bool take_place(struct dead_letters *d, struct letters_choice *choice, struct buf *partition,
                       struct buf *offset)
{
    struct error err;

    if (d->args->words[1] == NULL) {
        return true;
    }
    if (!place_parse_printed(d->args->words[1], &d->place, &err)) {
        error_wrap(&err, "pgsinkd dead-letters");
        command_fault(&err);
        return false;
    }
    choice->terms[LETTERS_TOPIC] = d->place.topic;
    if (d->place.partition >= 0) {
        buf_printf(partition, "%" PRId32, d->place.partition);
        choice->terms[LETTERS_PARTITION] = buf_cstr(partition);
    }
    if (d->place.kind == PLACE_OFFSET) {
        buf_printf(offset, "%" PRId64, d->place.number);
        choice->terms[LETTERS_OFFSET] = buf_cstr(offset);
    }
    return true;
}

static enum exit_code code_of(const struct dead_letters *d, struct error *err)
{
    if (d->missing) {
        return EXIT_FAULT;
    }
    return d->misused || is_bad_term(err) ? EXIT_USAGE : EXIT_TARGET;
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
    _cleanup_buf_ struct buf since = {0};
    _cleanup_buf_ struct buf until = {0};
    memcpy(choice.terms, args->terms, sizeof choice.terms);
    choice.terms[LETTERS_SINCE] = time_of(args->terms[LETTERS_SINCE], &since);
    choice.terms[LETTERS_UNTIL] = time_of(args->terms[LETTERS_UNTIL], &until);
    struct dead_letters d = {.args = args};
    _cleanup_buf_ struct buf partition = {0};
    _cleanup_buf_ struct buf offset = {0};
    if (!take_place(&d, &choice, &partition, &offset)) {
        return EXIT_USAGE;
    }
    struct conn_settings settings = prepare_conn_settings(args->cfg, "pgsinkd dead-letters");
    d.conn = conn_new(&settings);
    d.letters = letters_new(d.conn, args->cfg->postgres.schema, &choice);
    if (!run_word(&d, d.conn, word, &code, &err)) {
        code = code_of(&d, &err);
        command_fault(&err);
    }
    letters_free(d.letters);
    conn_free(d.conn);
    return code;
}
