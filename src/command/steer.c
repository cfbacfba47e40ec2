/*
 * The way of a command to the ledger and back, see steer.h. Main thread.
 */
#include "command/steer.h"

#include "base/mem.h"
#include "command/escape.h"
#include "pg/sqlstate.h"
#include "sink/plan/prepare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the place ---- */

/* TOPIC or TOPIC:PARTITION, and no record of it. */
static bool parse_place(struct steer *s, const char *word, struct error *err)
{
    if (word == NULL) {
        return true;
    }
    if (strchr(word, '@') != NULL) {
        return error_set(err, ERROR_SETUP, "'%s' names a record", word);
    }
    if (!place_parse(word, &s->place, err)) {
        return false;
    }
    s->at.topic = s->place.topic;
    s->at.partition = s->place.partition >= 0 ? strchr(word, ':') + 1 : NULL;
    return true;
}

static bool unknown(const struct steer *s, const struct listing *begun, struct error *err)
{
    const struct config *cfg = s->args->cfg;
    size_t n;
    _cleanup_mem_ const char **names = command_topic_names(cfg, begun->row_count, &n);

    for (size_t i = 0; i < begun->row_count; i++) {
        names[n++] = listing_cell(begun, i, 0);
    }
    error_set(err, ERROR_SETUP, "sink '%s' has no topic '%s'", cfg->sink, s->at.topic);
    const char *near = str_nearest(s->at.topic, names, n);
    if (near != NULL) {
        return error_hint(err, "Is it '%s'?", near);
    }
    return error_hint(err, "`pgsinkd status` lists those that it has.");
}

/* A sink that was never started is most often one of another database, or a slip in the name. */
static bool check_sink(struct steer *s, enum steer_names names, struct error *err)
{
    _cleanup_listing_ struct listing known = {0};
    const char *sink = s->args->cfg->sink;

    if (!control_list(&s->control, CONTROL_SINKS, NULL, &known, err)) {
        return false;
    }
    _cleanup_mem_ const char **all = mem_array(MAX(known.row_count, 1), sizeof *all);
    for (size_t i = 0; i < known.row_count; i++) {
        all[i] = listing_cell(&known, i, 0);
        if (strcmp(all[i], sink) == 0) {
            return true;
        }
    }
    const char *near = str_nearest(sink, all, known.row_count);
    error_set(err, ERROR_SETUP, "no daemon of sink '%s' has ever used this schema, '%s'", sink,
              s->control.schema);
    if (near != NULL) {
        error_hint(err, "Is it '%s'?", near);
    } else {
        error_hint(err, "Check `sink`, and the database and schema in `postgres`.");
    }
    if (names == STEER_FUTURE) {
        steer_warn(err);
        return true;
    }
    s->code = EXIT_FAULT;
    return false;
}

static bool is_taken(const struct steer *s)
{
    struct plan *plan = plan_new(s->args->cfg);
    bool taken = plan_takes(plan, s->at.topic);

    plan_free(plan);
    return taken;
}

/* A name is a mistake unless the ledger knows it, or the file, if that is enough. */
static bool check_name(struct steer *s, enum steer_names names, struct error *err)
{
    _cleanup_listing_ struct listing begun = {0};

    if (s->at.topic == NULL) {
        return true;
    }
    if (!control_list(&s->control, CONTROL_NAMES, NULL, &begun, err)) {
        return false;
    }
    for (size_t i = 0; i < begun.row_count; i++) {
        if (strcmp(listing_cell(&begun, i, 0), s->at.topic) == 0) {
            return true;
        }
    }
    if (!is_taken(s)) {
        s->code = EXIT_USAGE;
        return unknown(s, &begun, err);
    }
    if (names != STEER_BEGUN) {
        return true;
    }
    s->code = EXIT_FAULT;
    error_set(err, ERROR_SETUP, "topic '%s' has not been read by sink '%s' yet", s->at.topic,
              s->args->cfg->sink);
    return error_hint(err, "It begins where kafka.start says, when a daemon first reads it.");
}

/* ---- the way there ---- */

bool steer_connect(struct steer *s, int stop_fd, struct error *err)
{
    return conn_open_wait(s->conn, stop_fd, err) &&
           command_check_schema(s->conn, s->args->cfg->postgres.schema, err);
}

static bool has_ledger(struct steer *s, struct error *err)
{
    if (config_has_ledger(s->args->cfg)) {
        return true;
    }
    s->code = EXIT_CONFIG;
    error_set(err, ERROR_SETUP, "sink '%s' has no ledger: its `delivery` is not exactly_once",
              s->args->cfg->sink);
    return error_hint(err, "Its offsets are those of the consumer group '%s'.",
                      s->args->cfg->kafka.group);
}

/* What a function of ours refuses: a place that is none, something that does not fit. */
static enum exit_code code_of(const struct steer *s, const struct error *err)
{
    if (sqlstate_is(err->sqlstate, "22")) {
        return EXIT_USAGE;
    }
    bool is_refusal = sqlstate_is(err->sqlstate, "P0") || sqlstate_is(err->sqlstate, "55");
    return is_refusal ? EXIT_FAULT : s->code;
}

enum exit_code steer_run(const struct command_args *args, const char *verb, const char *place,
                         enum steer_names names, bool (*act)(struct steer *s, struct error *err))
{
    _cleanup_buf_ struct buf name = {0};
    struct steer s = {.args = args, .code = EXIT_TARGET};
    struct error err;

    if (!parse_place(&s, place, &err)) {
        fprintf(stderr, "pgsinkd %s: %s: '%s' is not TOPIC or TOPIC:PARTITION\n", verb, err.text,
                place);
        return EXIT_USAGE;
    }
    buf_printf(&name, "pgsinkd %s", verb);
    struct conn_settings settings = prepare_conn_settings(args->cfg, buf_cstr(&name));
    s.conn = conn_new(&settings);
    s.control = (struct control){s.conn, args->cfg->postgres.schema, args->cfg->sink};
    bool done = has_ledger(&s, &err) && steer_connect(&s, -1, &err) &&
                check_name(&s, names, &err) &&
                (names == STEER_BEGUN || check_sink(&s, names, &err)) && act(&s, &err);
    if (!done) {
        fflush(stdout);
        command_fault(&err);
        s.code = code_of(&s, &err);
    }
    conn_free(s.conn);
    return done ? EXIT_OK : s.code;
}

/* ---- what has changed ---- */

void steer_warn(const struct error *err)
{
    fflush(stdout);
    fputs("warning: ", stderr);
    command_fault(err);
}

void steer_add_place(const struct listing *changes, size_t row, struct buf *out)
{
    escape_add(out, str_of(listing_cell(changes, row, CHANGE_TOPIC)), '\0');
    buf_printf(out, "-%s", listing_cell(changes, row, CHANGE_PARTITION));
}

void steer_add_named(const struct steer *s, struct buf *out)
{
    if (s->at.topic == NULL) {
        buf_printf(out, "sink '%s'", s->args->cfg->sink);
        return;
    }
    escape_add(out, str_of(s->at.topic), '\0');
    if (s->at.partition != NULL) {
        buf_printf(out, "-%s", s->at.partition);
    }
}

size_t steer_print(const struct steer *s, const struct listing *changes,
                   bool (*add)(const struct listing *changes, size_t row, struct buf *out))
{
    _cleanup_buf_ struct buf line = {0};
    size_t n = 0;

    for (size_t i = 0; i < changes->row_count; i++) {
        buf_clear(&line);
        if (!add(changes, i, &line)) {
            continue;
        }
        n++;
        puts(s->args->json ? listing_cell(changes, i, CHANGE_JSON) : buf_cstr(&line));
    }
    return n;
}
