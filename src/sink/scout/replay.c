/* See replay.h. Scout thread. */
#include "sink/scout/replay.h"

#include "base/arena.h"
#include "base/mem.h"
#include "pg/catalog.h"
#include "pg/letters.h"
#include "pg/txn.h"
#include "row/batch/dead_letter.h"
#include "row/record/record.h"
#include "sink/plan/plan.h"
#include "sink/schemas/teacher.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* A letter on its way. Bytes are the chunk's arena's. */
struct item {
    const char *topic;
    struct message message;
    int32_t attempts;
    struct record_route way;   /* without a mapping until its table is loaded */
    const struct error *fault; /* it fails, for this */
    enum dead_letter_class class;
};

struct chunk {
    const struct config *cfg;
    const char *owner;
    struct conn *conn;
    int stop_fd;
    const char *route; /* as letters have it */
    size_t number;     /* in the configuration; route_count: it is not there */
    struct arena arena;
    struct item *items;
    size_t count;
    size_t cap;
    struct plan *plan;
    struct decoder *decoder;
    struct teacher *teacher;
    struct batch *batch;
    struct txn *txn;
    struct table *letters_table;
    struct target *letters;
    bool changed; /* a table is not as it was read for this chunk */
};

static void chunk_done(struct chunk *c)
{
    txn_free(c->txn);
    batch_free(c->batch);
    decoder_free(c->decoder);
    teacher_free(c->teacher);
    plan_free(c->plan);
    dead_letter_target_free(c->letters);
    table_free(c->letters_table);
    free(c->items);
    arena_done(&c->arena);
}

/* ---- its letters ---- */

static int64_t number_of(const char *text)
{
    return text != NULL ? strtoll(text, NULL, 10) : -1;
}

static const char *copy_text(struct chunk *c, const char *text)
{
    char *copy = arena_alloc(&c->arena, strlen(text) + 1);

    return memcpy(copy, text, strlen(text) + 1);
}

static void add_item(struct chunk *c, const struct letter *letter)
{
    struct message_header *headers = arena_alloc(&c->arena,
                                                 MAX(letter->header_count, 1) * sizeof *headers);

    for (size_t i = 0; i < letter->header_count; i++) {
        headers[i].name = arena_copy(&c->arena, letter->headers[i].name);
        headers[i].value = arena_copy(&c->arena, letter->headers[i].value);
    }
    c->items = mem_grow(c->items, &c->cap, c->count, sizeof *c->items);
    struct item *item = &c->items[c->count++];
    *item = (struct item){
        .topic = copy_text(c, letter->topic),
        .attempts = (int32_t) number_of(letter->attempts),
    };
    item->message = (struct message){
        .topic = str_of(item->topic),
        .partition = (int32_t) number_of(letter->partition),
        .leader_epoch = -1,
        .offset = number_of(letter->offset),
        .timestamp_ms = number_of(letter->timestamp_ms),
        .key = arena_copy(&c->arena, letter->key),
        .value = arena_copy(&c->arena, letter->value),
        .headers = headers,
        .header_count = letter->header_count,
    };
}

/* Together with what libpq and the batch hold of them, they take about as much as one batch may. */
static bool read_items(struct chunk *c, struct letters *letters, uint32_t limit, struct error *err)
{
    const struct letter *letter;

    if (!letters_read_marked(letters, c->route, limit, c->cfg->batch.max_bytes / 4, err)) {
        return false;
    }
    while (letters_next(letters, &letter, err)) {
        if (letter == NULL) {
            return true;
        }
        add_item(c, letter);
    }
    return false;
}

/* ---- their mappings, as the catalog is now ---- */

static void fail_item(struct chunk *c, struct item *item, enum dead_letter_class class,
                      const struct error *fault)
{
    struct error *copy = arena_alloc(&c->arena, sizeof *copy);

    *copy = *fault;
    item->fault = copy;
    item->class = class;
}

static bool load(struct chunk *c, const char *topic, struct error *err)
{
    struct plan_job **jobs;
    size_t n = plan_missing(c->plan, topic, &jobs);
    bool ok = true;

    for (size_t i = 0; i < n; i++) {
        if (jobs[i]->route == c->number && ok && (ok = plan_job_run(jobs[i], c->conn, err))) {
            plan_add(c->plan, jobs[i]);
        } else {
            plan_job_free(jobs[i]);
        }
    }
    free(jobs);
    return ok;
}

static bool find_mapping(struct chunk *c, struct item *item, struct error *err)
{
    struct error fault;

    if (c->number == c->cfg->route_count) {
        error_set(&fault, ERROR_RECORD, "the configuration has no route '%s'", c->route);
        fail_item(c, item, DEAD_LETTER_RECORD, &fault);
        return true;
    }
    if (!plan_route_takes(c->plan, c->number, item->topic)) {
        error_set(&fault, ERROR_RECORD, "route '%s' does not take topic '%s'", c->route,
                  item->topic);
        fail_item(c, item, DEAD_LETTER_RECORD, &fault);
        return true;
    }
    if (plan_route(c->plan, c->number, item->topic, &item->way)) {
        return true;
    }
    if (!load(c, item->topic, err)) {
        return false;
    }
    bool found = plan_route(c->plan, c->number, item->topic, &item->way);
    assert(found);
    return true;
}

static bool load_letters(struct chunk *c, struct error *err)
{
    c->letters_table = catalog_table(c->conn, c->cfg->postgres.schema, "dead_letters", err);
    if (c->letters_table == NULL) {
        return false;
    }
    c->letters = dead_letter_target(c->letters_table, err);
    return c->letters != NULL;
}

static bool prepare(struct chunk *c, struct error *err)
{
    c->plan = plan_new(c->cfg);
    c->decoder = decoder_new();
    c->teacher = teacher_new(c->cfg, c->conn, c->stop_fd);
    c->batch = batch_new();
    c->txn = txn_new(c->cfg->postgres.schema, c->cfg->sink, false);
    txn_take_letters(c->txn, c->route);
    if (c->cfg->audit) {
        txn_audit(c->txn, c->owner);
    }
    if (!load_letters(c, err)) {
        return false;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (!find_mapping(c, &c->items[i], err)) {
            return false;
        }
    }
    return true;
}

/* ---- one transaction ---- */

static void add_letter(struct chunk *c, const struct item *item)
{
    uint32_t part = batch_part(c->batch, c->letters, ROW_INSERT, 0);
    const struct dead_letter letter = {
        .sink = c->cfg->sink,
        .route = c->route,
        .message = &item->message,
        .class = item->class,
        .error = item->fault,
        .escapes = !c->letters->table->is_utf8,
        .attempts = item->attempts + 1,
    };

    dead_letter_write(&letter, batch_row_begin(c->batch, part));
    batch_row_end(c->batch, part);
}

/* False: a schema without which nothing can be said of it cannot be had, or used. */
static bool make_rows(struct chunk *c, struct item *item, struct error *err)
{
    struct error fault;

    while (!record_rows(c->decoder, &item->way, &item->message, c->batch, &fault)) {
        bool lacks = decoder_lacks(c->decoder) != NULL;
        if (fault.class == ERROR_SETUP || (fault.class == ERROR_AGAIN && !lacks)) {
            *err = fault;
            return false;
        }
        if (fault.class != ERROR_AGAIN) {
            fail_item(c, item, DEAD_LETTER_RECORD, &fault);
            return true;
        }
        if (!teacher_teach(c->teacher, c->decoder, err)) {
            return false;
        }
    }
    return true;
}

/* Each a span of its own, which names the letter that is to be taken. */
static bool fill(struct chunk *c, struct item *items, size_t n, struct error *err)
{
    struct batch *b = c->batch;

    batch_clear(b);
    for (size_t i = 0; i < n; i++) {
        struct item *item = &items[i];
        const struct message *m = &item->message;
        uint32_t span = batch_span(b, item, item->topic, m->partition, 0, m->offset);
        batch_record_begin(b, span, m->offset, m->timestamp_ms, -1);
        if (item->fault == NULL && !make_rows(c, item, err)) {
            return false;
        }
        if (item->fault != NULL && item->way.mapping != NULL) {
            record_compare(&item->way, b);
        }
        if (item->fault != NULL) {
            add_letter(c, item);
        }
        batch_record_end(b);
    }
    return true;
}

/* False when a stop is wanted. */
static bool wait(const struct chunk *c)
{
    struct pollfd fds[2] = {
        {.fd = conn_fd(c->conn), .events = conn_events(c->conn)},
        {.fd = c->stop_fd, .events = POLLIN},
    };

    poll(fds, ARRAY_LEN(fds), clock_poll_ms(clock_mono(), conn_deadline(c->conn)));
    return fds[1].revents == 0;
}

/*
 * A dead letter that is refused once more stays what it is, so doubt is no reason to spare it. What
 * the target lacks is for an operator, whatever else it does is for later.
 */
static enum error_class settled(const struct chunk *c, const struct txn_result *r)
{
    size_t n;
    const struct txn_refusal *list = txn_refusals(c->txn, &n);
    bool of_records = r->error.class == ERROR_DOUBT || n > 0;

    for (size_t i = 0; i < n; i++) {
        of_records = of_records && (list[i].class == ERROR_DOUBT || txn_blames_record(&list[i]));
    }
    if (of_records) {
        return ERROR_RECORD;
    }
    return r->error.class == ERROR_UNFIT    ? ERROR_SETUP
           : r->error.class == ERROR_TARGET ? ERROR_AGAIN
                                            : r->error.class;
}

static bool send(struct chunk *c, struct error *err)
{
    struct txn_result result;
    enum txn_path path = txn_fits_each(c->txn, c->batch) ? TXN_EACH : TXN_COPY;

    if (!txn_start(c->txn, c->conn, c->batch, path, err)) {
        return false;
    }
    while (txn_step(c->txn, &result) == TXN_WAIT) {
        if (!wait(c)) {
            txn_abandon(c->txn);
            return error_set(err, ERROR_LINK, "interrupted");
        }
    }
    *err = result.error;
    err->class = settled(c, &result);
    c->changed = result.changed;
    return result.outcome == TXN_COMMITTED;
}

/* Fails the letters that PostgreSQL has named. False: it has named none that may fail. */
static bool take_refusals(struct chunk *c, struct item *items)
{
    size_t n;
    const struct txn_refusal *refusals = txn_refusals(c->txn, &n);
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        const struct batch_part *part = &c->batch->parts[refusals[i].part];
        struct item *item = &items[part->rows[refusals[i].row].record];
        if (item->fault == NULL) {
            fail_item(c, item, DEAD_LETTER_DATABASE, refusals[i].error);
            any = true;
        }
    }
    return any;
}

static void count(struct replay *r, const struct item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (items[i].fault == NULL) {
            r->stored++;
        } else {
            r->failed++;
        }
    }
}

/* Sends n letters until those that are left are accepted. Where PostgreSQL names none they are sent
 * in halves: one that is refused alone is the rejected one. */
static bool store(struct chunk *c, struct replay *r, struct item *items, size_t n,
                  struct error *err)
{
    for (;;) {
        if (!fill(c, items, n, err)) {
            return false;
        }
        if (send(c, err)) {
            count(r, items, n);
            return true;
        }
        if (err->class != ERROR_RECORD) {
            return false;
        }
        if (take_refusals(c, items)) {
            continue;
        }
        if (n > 1) {
            return store(c, r, items, n / 2, err) && store(c, r, items + n / 2, n - n / 2, err);
        }
        if (items->fault != NULL) {
            err->class = ERROR_SETUP;
            return error_wrap(err, "a dead letter cannot be stored");
        }
        fail_item(c, items, DEAD_LETTER_DATABASE, err);
    }
}

/* ---- one chunk ---- */

/* The letters of one route. *out_any: there were some. */
static bool replay_route(struct replay *r, struct chunk *c, bool *out_any, struct error *err)
{
    struct letters_choice choice = {.sink = c->cfg->sink};
    struct letters *letters = letters_new(c->conn, c->cfg->postgres.schema, &choice);
    bool ok = read_items(c, letters, r->limit, err);

    letters_free(letters);
    if (!ok) {
        return false;
    }
    *out_any = c->count > 0;
    if (!*out_any) {
        return true;
    }
    ok = prepare(c, err) && store(c, r, c->items, c->count, err);
    /* somebody was faster, or a table has changed meanwhile: look again */
    return ok || err->class == ERROR_FENCED || c->changed;
}

static bool replay_named(struct replay *r, const struct chunk *like, const char *route,
                         bool *out_any, struct error *err)
{
    _cleanup_(chunk_done) struct chunk c = *like;

    c.route = route;
    c.number = r->route;
    if (replay_route(r, &c, out_any, err)) {
        return true;
    }
    if (err->class == ERROR_SETUP) {
        error_wrap(err, "dead letters of route '%s' cannot be replayed", route);
        r->route++;
    }
    return false;
}

/* The next route that has any; *out_any: one has, and its chunk is done. */
static bool replay_known(struct replay *r, const struct chunk *like, bool *out_any,
                         struct error *err)
{
    for (*out_any = false; r->route < like->cfg->route_count; r->route++) {
        const char *name = like->cfg->routes[r->route].name;
        if (!replay_named(r, like, name, out_any, err)) {
            return false;
        }
        if (*out_any) {
            return true;
        }
    }
    return true;
}

static bool find_stranger(const struct chunk *like, struct letters *letters, char **out,
                          struct error *err)
{
    size_t n = like->cfg->route_count;
    const char **names = mem_array(n, sizeof(const char *));

    for (size_t i = 0; i < n; i++) {
        names[i] = like->cfg->routes[i].name;
    }
    bool ok = letters_marked_stranger(letters, names, n, out, err);
    free(names);
    return ok;
}

static bool replay_strangers(struct replay *r, const struct chunk *like, struct letters *letters,
                             bool *out_any, struct error *err)
{
    _cleanup_mem_ char *route = NULL;

    *out_any = false;
    if (r->route > like->cfg->route_count) {
        return true; /* they could not be written */
    }
    if (!find_stranger(like, letters, &route, err)) {
        return false;
    }
    return route == NULL || replay_named(r, like, route, out_any, err);
}

static bool next_chunk(struct replay *r, const struct chunk *like, struct letters *letters,
                       struct error *err)
{
    bool any = false;

    if (!letters_marked(letters, &any, err)) {
        return false;
    }
    if (!any) {
        r->over = true;
        return true;
    }
    if (!replay_known(r, like, &any, err) ||
        (!any && !replay_strangers(r, like, letters, &any, err))) {
        return false;
    }
    r->over = !any;
    r->left = !any;
    return true;
}

bool replay_chunk(struct replay *r, const struct config *cfg, const char *owner, struct conn *c,
                  int stop_fd, struct error *err)
{
    const struct chunk like = {.cfg = cfg, .owner = owner, .conn = c, .stop_fd = stop_fd};
    struct letters_choice choice = {.sink = cfg->sink};
    struct letters *letters = letters_new(c, cfg->postgres.schema, &choice);

    r->stored = r->failed = 0;
    r->over = r->left = false;
    size_t route = r->route;
    bool ok = next_chunk(r, &like, letters, err);
    if (!ok && err->class == ERROR_SETUP && r->route == route) { /* not of one route: of all */
        error_wrap(err, "dead letters that are marked for a replay cannot be read");
        if (err->hint[0] == '\0') {
            error_hint(err, "Restore the schema that pgsinkd uses, or grant what `pgsinkd init "
                            "--print` lists to the role that pgsinkd connects as.");
        }
        r->over = r->left = true;
    }
    letters_free(letters);
    return ok;
}
