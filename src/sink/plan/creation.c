/* See creation.h: what a route says becomes the spec of a new table. */
#include "sink/plan/creation.h"

#include "base/clock.h"
#include "base/mem.h"
#include "kafka/lookup.h"
#include "kafka/sampler.h"
#include "row/evolve/new_table.h"
#include "row/path/path.h"

#include <stdlib.h>
#include <string.h>

enum { SAMPLE_RECORDS_TRIED = 20, SAMPLE_BYTES = 16 << 20 };

bool creation_is_wanted(const struct config_route *route, const struct error *err)
{
    return route->create && err->class == ERROR_SETUP && strcmp(err->sqlstate, "42P01") == 0;
}

/* ---- columns of the route ---- */

static const char *type_of_meta(enum path_meta meta)
{
    switch (meta) {
    case META_PARTITION:
    case META_INDEX:
        return "integer";
    case META_OFFSET:
    case META_SCHEMA_ID:
        return "bigint";
    case META_TIMESTAMP:
        return "timestamptz";
    case META_TOPIC:
    case META_SCHEMA:
        break;
    }
    return "text";
}

/* Where the names lead to; NULL: nowhere. */
static const struct shape *follow(const struct shape *at, const struct path *p)
{
    for (size_t i = 0; at != NULL && i < p->name_count; i++) {
        const struct shape_field *f = shape_field_of(shape_beyond_null(at, NULL), p->names[i]);
        at = f != NULL ? f->shape : NULL;
    }
    return at;
}

/* What a path leads to, as a column; false: nothing that the schema has. */
static bool extra_of_path(const struct creation_written *w, const char *text,
                          struct new_table_extra *out)
{
    struct path path;
    struct error ignored;

    if (!path_parse(text, &path, &ignored)) {
        return false;
    }
    if (path.root == PATH_META) {
        out->type = type_of_meta(path.meta);
    } else if (path.root == PATH_HEADERS || (path.root == PATH_KEY && path.name_count == 0)) {
        out->type = path.root == PATH_HEADERS && path.name_count == 0 ? "jsonb" : "text";
    } else {
        out->shape = follow(path.root == PATH_KEY ? w->key : w->value, &path);
    }
    path_done(&path);
    return out->type != NULL || out->shape != NULL;
}

static bool extra_of_column(const struct creation *x, const struct creation_written *w,
                            const struct config_column *c, struct new_table_extra *out,
                            struct error *err)
{
    bool found = c->value_count == 0 && c->sql == NULL; /* keep: it is that of its field */
    bool has_constant = false;

    *out = (struct new_table_extra){.name = c->column};
    for (size_t i = 0; !found && i < c->value_count; i++) {
        has_constant = has_constant || c->values[i].constant != NULL;
        found = c->values[i].path != NULL && extra_of_path(w, c->values[i].path, out);
    }
    if (found && c->unit != 0) {
        *out = (struct new_table_extra){.name = c->column,
                                        .type = c->unit == CONFIG_UNIT_D ? "date" : "timestamptz"};
    } else if (found && c->parse == CONFIG_PARSE_JSON) {
        *out = (struct new_table_extra){.name = c->column, .type = "jsonb"};
    } else if (!found && has_constant) {
        out->type = "text";
        found = true;
    }
    if (found) {
        return true;
    }
    config_error_at(x->cfg, c->pos, err, "no schema says what type column '%s' is to have",
                    c->column);
    return error_hint(err, "Create the table yourself.");
}

/* ---- the spec ---- */

static bool needs_key(const struct config_route *r)
{
    return r->mode == MODE_UPSERT || r->mode == MODE_UPDATE || r->mode == MODE_IGNORE ||
           r->delete != CONFIG_DELETE_OFF || *r->delete_when != '\0';
}

static void add_own(const struct config_route *r, struct new_table_extra *extras, size_t *n)
{
    bool collects = strcmp(r->unknown_fields, "ignore") != 0 &&
                    strcmp(r->unknown_fields, "error") != 0;

    if (*r->soft_delete != '\0') {
        extras[(*n)++] = (struct new_table_extra){.name = r->soft_delete, .type = "boolean"};
    }
    if (collects) {
        extras[(*n)++] = (struct new_table_extra){.name = r->unknown_fields, .type = "jsonb"};
    }
}

/* Are the fields of the records' keys needed, for the table's key or for a column? */
static bool wants_key(const struct config_route *r)
{
    bool wants = (needs_key(r) && r->key.count == 0) || strcmp(r->root, "key") == 0 ||
                 strncmp(r->root, "key.", 4) == 0;

    for (size_t i = 0; !wants && i < r->columns.count; i++) {
        const struct config_column *c = &r->columns.items[i];
        for (size_t k = 0; k < c->value_count; k++) {
            const char *path = c->values[k].path;
            wants = wants || (path != NULL && strncmp(path, "key.", 4) == 0);
        }
    }
    return wants;
}

/* The record whose fields are the columns. */
static const struct shape *row_of(const struct config_route *r, const struct creation_written *w)
{
    struct path path;
    struct error ignored;
    const struct shape *root = w->value;

    if (strcmp(r->root, "value") != 0 && path_parse(r->root, &path, &ignored)) {
        root = follow(path.root == PATH_KEY ? w->key : w->value, &path);
        path_done(&path);
    }
    return root != NULL ? new_table_row(root, r->envelope == CONFIG_ENVELOPE_DEBEZIUM) : NULL;
}

/* A spec with what it borrows. */
struct making {
    struct new_table_spec spec;
    struct new_table_extra *extras;
    char *source;
    const struct shape *row;
};

static void making_done(struct making *m)
{
    free(m->extras);
    free(m->source);
}

static bool making_init(struct making *m, const struct creation *x,
                        const struct creation_written *w, struct error *err)
{
    enum { OWN = 2 };
    const struct config_route *r = &x->cfg->routes[x->route];
    size_t n = 0;

    *m = (struct making){.row = row_of(r, w)};
    if (m->row == NULL) {
        return error_set(err, ERROR_SETUP, "the records of topic '%s' have no fields", x->topic);
    }
    m->source = mem_printf("topic %s", x->topic);
    m->extras = mem_array(r->columns.count + OWN, sizeof *m->extras);
    for (size_t i = 0; i < r->columns.count; i++) {
        if (!extra_of_column(x, w, &r->columns.items[i], &m->extras[n++], err)) {
            return false;
        }
    }
    add_own(r, m->extras, &n);
    _Static_assert((int) CONFIG_NAMES_SNAKE_CASE == (int) NAMES_SNAKE_CASE, "names differ");
    m->spec = (struct new_table_spec){
        .schema = r->table.schema,
        .name = x->table,
        .source = m->source,
        .names = (enum name_policy) r->names,
        .key = (const char *const *) r->key.items,
        .key_count = r->key.count,
        .wants_key = needs_key(r),
        .takes_key = needs_key(r),
        .extras = m->extras,
        .extra_count = n,
    };
    return true;
}

bool creation_columns(const struct creation *x, const struct creation_written *written,
                      struct new_columns *out, struct error *err)
{
    struct making m;
    bool ok = making_init(&m, x, written, err) &&
              new_columns_make(m.row, written->key, &m.spec, out, err);

    making_done(&m);
    return ok;
}

static bool print_table(const struct creation *x, const struct creation_written *w, struct buf *out,
                        struct error *err)
{
    struct making m;
    bool ok = making_init(&m, x, w, err) && new_table_print(m.row, w->key, &m.spec, out, err);

    making_done(&m);
    return ok;
}

static bool print_record(const struct creation *x, const struct message *record, struct buf *out,
                         struct error *err)
{
    const struct config_route *r = &x->cfg->routes[x->route];
    struct creation_written w = {0};
    bool ok = creation_read_record(r, wants_key(r), x->schemas, record, &w, err) &&
              print_table(x, &w, out, err);

    creation_written_done(&w);
    return ok;
}

/* Before there is a record. If that does not help, it is said what kept records from being used. */
static bool print_subjects(const struct creation *x, struct buf *out, struct error *err)
{
    const struct config_route *r = &x->cfg->routes[x->route];
    struct creation_written w = {0};
    struct error other;

    if (!creation_has_registry(r)) {
        return false;
    }
    bool ok = creation_read_subjects(r, wants_key(r), x->schemas, &w, &other) &&
              print_table(x, &w, out, &other);
    creation_written_done(&w);
    if (!ok && other.class == ERROR_AGAIN) {
        *err = other;
    } else if (!ok) {
        error_wrap(&other, "%s; and without one", err->text);
        other.class = ERROR_SETUP; /* also where it is the fault of a schema */
        *err = other;
    }
    return ok;
}

/* ---- the newest record ---- */

/* At least a moment, so that a question is put at all. */
static usec_t left(usec_t deadline)
{
    usec_t now = clock_mono();

    return MAX(deadline > now ? deadline - now : 0, 100 * USEC_PER_MSEC);
}

static bool no_record(const struct creation *x, struct error *err)
{
    return error_set(err, ERROR_SETUP, "topic '%s' has no record yet to make the table from",
                     x->topic);
}

/* Is there anything to read? A consumer of its own would have to log in to find that out. */
static bool has_records(const struct creation *x, struct client *client, int partitions,
                        usec_t deadline, bool *out, struct error *err)
{
    size_t n = (size_t) partitions;
    _cleanup_mem_ char *topic = mem_strdup(x->topic);
    _cleanup_mem_ struct partition_ref *low = mem_array(MAX(n, 1), sizeof *low);
    _cleanup_mem_ struct partition_ref *high = mem_array(MAX(n, 1), sizeof *high);

    *out = false;
    for (size_t i = 0; i < n; i++) {
        low[i] = (struct partition_ref){.topic = topic, .partition = (int32_t) i};
        high[i] = low[i];
    }
    if (n > 0 && (!lookup_offsets(client, low, n, LOOKUP_EARLIEST, left(deadline), err) ||
                  !lookup_offsets(client, high, n, LOOKUP_LATEST, left(deadline), err))) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        *out = *out || low[i].offset != high[i].offset || low[i].offset == LOOKUP_FAILED;
    }
    return true;
}

/* The newest of those that have not been tried; of several with one timestamp the last. */
static size_t newest_of(const struct sample *sample, const bool *tried)
{
    size_t newest = sample->count;

    for (size_t i = 0; i < sample->count; i++) {
        bool is_newer = newest == sample->count ||
                        sample->records[i].timestamp_ms >= sample->records[newest].timestamp_ms;
        if (!tried[i] && is_newer) {
            newest = i;
        }
    }
    return newest;
}

/* The newest first; the last fault stays, where none can be used. */
static bool print_sample(const struct creation *x, const struct sample *sample, struct buf *out,
                         struct error *err)
{
    _cleanup_mem_ bool *tried = mem_array(sample->count, sizeof *tried);

    for (size_t n = 0; n < sample->count; n++) {
        size_t newest = newest_of(sample, tried);
        tried[newest] = true;
        if (print_record(x, &sample->records[newest], out, err)) {
            return true;
        }
        if (err->class == ERROR_AGAIN) {
            return false;
        }
        err->class = ERROR_SETUP; /* nothing is wrong with a record that only says no schema */
    }
    return false;
}

/* *out_unread: there may be records that could not be read, which say more than any subject. */
static bool print_records(const struct creation *x, struct client *client, int partitions,
                          usec_t deadline, struct buf *out, bool *out_unread, struct error *err)
{
    const struct sample_bounds bounds = {
        .records = SAMPLE_RECORDS_TRIED, .bytes = SAMPLE_BYTES, .timeout = left(deadline)};
    struct sample sample;
    struct sampler *s = sampler_new(client, x->cfg, err);

    if (s == NULL) {
        return false;
    }
    bool ok = sampler_read(s, x->topic, partitions, &bounds, &sample, err);
    if (ok) {
        *out_unread = sample.count == 0 && sample.silent > 0;
        no_record(x, err);
        if (*out_unread) {
            error_set(err, ERROR_SETUP, "the records of topic '%s' could not be read in time",
                      x->topic);
        }
        ok = print_sample(x, &sample, out, err);
        sample_done(&sample);
    }
    sampler_free(s);
    return ok;
}

bool creation_print_newest(const struct creation *x, struct client *client, usec_t timeout,
                           struct buf *out, struct error *err)
{
    usec_t deadline = clock_mono() + timeout;
    int partitions = 0;
    bool has_some;
    bool unread = false;

    if (!lookup_topic(client, x->topic, &partitions, timeout, err) ||
        !has_records(x, client, partitions, deadline, &has_some, err)) {
        return false;
    }
    no_record(x, err);
    if (has_some && print_records(x, client, partitions, deadline, out, &unread, err)) {
        return true;
    }
    return partitions > 0 && !unread && err->class == ERROR_SETUP && print_subjects(x, out, err);
}
