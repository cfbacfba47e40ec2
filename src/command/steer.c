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

/* TOPIC or TOPIC:PARTITION; a topic's name has no colon. */
static bool parse_place(struct steer *s, const char *place)
{
    const char *colon = place != NULL ? strchr(place, ':') : NULL;
    int64_t partition = 0;

    if (place == NULL) {
        return true;
    }
    size_t n = colon != NULL ? (size_t) (colon - place) : strlen(place);
    if (n == 0 || n >= sizeof s->topic) {
        return false;
    }
    memcpy(s->topic, place, n);
    s->at.topic = s->topic;
    if (colon == NULL) {
        return true;
    }
    s->at.partition = colon + 1;
    return colon[1] >= '0' && colon[1] <= '9' && str_to_i64(str_of(colon + 1), &partition) &&
           partition <= INT32_MAX;
}

/* The file's topics that are names, for a suggestion. */
static size_t add_file_names(const struct config *cfg, const char **out)
{
    size_t n = 0;

    for (size_t i = 0; i < cfg->route_count; i++) {
        const struct config_topics *topics = &cfg->routes[i].topics;
        for (size_t j = 0; j < topics->count; j++) {
            if (!topics->items[j].is_regex) {
                out[n++] = topics->items[j].name;
            }
        }
    }
    return n;
}

static size_t count_file_topics(const struct config *cfg)
{
    size_t n = 0;

    for (size_t i = 0; i < cfg->route_count; i++) {
        n += cfg->routes[i].topics.count;
    }
    return n;
}

static bool unknown(const struct steer *s, const struct listing *begun, struct error *err)
{
    const struct config *cfg = s->args->cfg;
    _cleanup_mem_ const char **names = mem_array(begun->row_count + count_file_topics(cfg) + 1,
                                                 sizeof *names);
    size_t n = add_file_names(cfg, names);

    for (size_t i = 0; i < begun->row_count; i++) {
        names[n++] = listing_cell(begun, i, 0);
    }
    error_set(err, ERROR_SETUP, "sink '%s' has no topic '%s'", cfg->sink, s->topic);
    const char *near = str_nearest(s->topic, names, n);
    if (near != NULL) {
        return error_hint(err, "Is it '%s'?", near);
    }
    return error_hint(err, "`pgsinkd status` lists those that it has.");
}

static bool is_taken(const struct steer *s)
{
    struct plan *plan = plan_new(s->args->cfg);
    bool taken = plan_takes(plan, s->topic);

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
        if (strcmp(listing_cell(&begun, i, 0), s->topic) == 0) {
            return true;
        }
    }
    if (!is_taken(s)) {
        s->code = EXIT_USAGE;
        return unknown(s, &begun, err);
    }
    if (names == STEER_EXPECTED) {
        return true;
    }
    s->code = EXIT_FAULT;
    error_set(err, ERROR_SETUP, "topic '%s' has not been read by sink '%s' yet", s->topic,
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

    if (!parse_place(&s, place)) {
        fprintf(stderr, "pgsinkd %s: '%s' is not TOPIC or TOPIC:PARTITION\n", verb, place);
        return EXIT_USAGE;
    }
    buf_printf(&name, "pgsinkd %s", verb);
    struct conn_settings settings = prepare_conn_settings(args->cfg, buf_cstr(&name));
    s.conn = conn_new(&settings);
    s.control = (struct control){s.conn, args->cfg->postgres.schema, args->cfg->sink};
    bool done = has_ledger(&s, &err) && steer_connect(&s, -1, &err) &&
                check_name(&s, names, &err) && act(&s, &err);
    if (!done) {
        fflush(stdout);
        command_fault(&err);
        s.code = code_of(&s, &err);
    }
    conn_free(s.conn);
    return done ? EXIT_OK : s.code;
}

/* ---- what has changed ---- */

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
