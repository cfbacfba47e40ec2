/* See creation.h: what a route says becomes the spec of a new table. */
#include "sink/plan/creation.h"

#include "base/mem.h"
#include "kafka/lookup.h"
#include "kafka/sampler.h"
#include "row/evolve/new_table.h"
#include "row/json/document.h"
#include "row/json/elements.h"
#include "row/path/path.h"
#include "row/schema/connect_schema.h"

#include <stdlib.h>
#include <string.h>

enum { SAMPLE_RECORDS_TRIED = 20, SAMPLE_BYTES = 16 << 20 };

/* What the records of a route are written with. */
struct written {
    const struct schema *value;
    const struct schema *key; /* NULL: it has none */
};

static void written_done(struct written *w)
{
    w->value = schema_drop(w->value);
    w->key = schema_drop(w->key);
}

bool creation_is_wanted(const struct config_route *route, const struct error *err)
{
    return route->create && err->class == ERROR_SETUP && strcmp(err->sqlstate, "42P01") == 0;
}

/* ---- schemas ---- */

/* The schema part of a document. *out stays NULL if it has none. */
static bool read_part(struct str bytes, const struct schema **out, struct error *err)
{
    struct document *d = document_new();
    _cleanup_buf_ struct buf plain = {0};
    _cleanup_buf_ struct buf padded = {0};
    struct cell part;

    buf_add_str(&padded, document_without_mark(bytes));
    struct str text = str_trim(buf_str(&padded));
    bool ok = document_read(d, text, NULL, NULL, err);
    (void) document_free(d);
    if (!ok) {
        return false;
    }
    bool has_part = *text.p == '{' && elements_find(text, "schema", &plain, &part);
    return !has_part || !cell_is_object(&part) || connect_schema_read(part.text, out, err);
}

static bool no_schema(const struct creation *x, struct error *err)
{
    error_set(err, ERROR_SETUP, "the records of topic '%s' do not say their schema", x->topic);
    return error_hint(err, "Create the table, or have the schema written: "
                           "value.converter.schemas.enable=true.");
}

/* The key's schema is wanted where it is there; a key that is no document has none. */
static bool read_schemas(const struct creation *x, const struct message *m, struct written *w,
                         struct error *err)
{
    struct error ignored;

    if (m->value.p == NULL || !read_part(m->value, &w->value, err)) {
        return m->value.p == NULL ? no_schema(x, err) : false;
    }
    if (m->key.p != NULL && !read_part(m->key, &w->key, &ignored)) {
        w->key = schema_drop(w->key);
    }
    return w->value != NULL || no_schema(x, err);
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
static const struct shape *follow(const struct schema *s, const struct path *p)
{
    const struct shape *at = s != NULL ? schema_root(s, 0) : NULL;

    for (size_t i = 0; at != NULL && i < p->name_count; i++) {
        const struct shape_field *f = shape_field_of(shape_beyond_null(at, NULL), p->names[i]);
        at = f != NULL ? f->shape : NULL;
    }
    return at;
}

/* What a path leads to, as a column; false: nothing that the schema has. */
static bool extra_of_path(const struct written *w, const char *text, struct new_table_extra *out)
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

static bool extra_of_column(const struct creation *x, const struct written *w,
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

static bool print_table(const struct creation *x, const struct written *w, struct buf *out,
                        struct error *err)
{
    enum { OWN = 2 };
    const struct config_route *r = &x->cfg->routes[x->route];
    bool is_change = r->envelope == CONFIG_ENVELOPE_DEBEZIUM;
    const struct shape *row = new_table_row(schema_root(w->value, 0), is_change);
    _cleanup_mem_ struct new_table_extra *extras = mem_array(r->columns.count + OWN,
                                                             sizeof *extras);
    _cleanup_mem_ char *source = mem_printf("topic %s", x->topic);
    size_t n = 0;

    if (row == NULL) {
        return error_set(err, ERROR_SETUP, "the records of topic '%s' have no fields", x->topic);
    }
    for (size_t i = 0; i < r->columns.count; i++) {
        if (!extra_of_column(x, w, &r->columns.items[i], &extras[n++], err)) {
            return false;
        }
    }
    add_own(r, extras, &n);
    _Static_assert((int) CONFIG_NAMES_SNAKE_CASE == (int) NAMES_SNAKE_CASE, "names differ");
    const struct new_table_spec spec = {
        .schema = r->table.schema,
        .name = x->table,
        .source = source,
        .names = (enum name_policy) r->names,
        .key = (const char *const *) r->key.items,
        .key_count = r->key.count,
        .wants_key = needs_key(r),
        .takes_key = needs_key(r),
        .extras = extras,
        .extra_count = n,
    };
    return new_table_print(row, w->key != NULL ? schema_root(w->key, 0) : NULL, &spec, out, err);
}

bool creation_print(const struct creation *x, const struct message *record, struct buf *out,
                    struct error *err)
{
    struct written w = {0};
    bool ok = read_schemas(x, record, &w, err) && print_table(x, &w, out, err);

    written_done(&w);
    return ok;
}

/* ---- the newest record ---- */

static bool partitions_of(const struct creation *x, struct client *client, usec_t timeout,
                          int32_t *out, struct error *err)
{
    struct lookup_topic *topics = NULL;
    size_t n = 0;

    *out = 0;
    if (!lookup_subscribed(client, x->cfg, &topics, &n, timeout, err)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(topics[i].name, x->topic) == 0) {
            *out = topics[i].partition_count;
        }
    }
    lookup_topics_free(topics, n);
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

    error_set(err, ERROR_SETUP, "topic '%s' has no record yet to make the table from", x->topic);
    for (size_t n = 0; n < sample->count; n++) {
        size_t newest = newest_of(sample, tried);
        tried[newest] = true;
        if (creation_print(x, &sample->records[newest], out, err)) {
            return true;
        }
    }
    return false;
}

bool creation_print_newest(const struct creation *x, struct client *client, usec_t timeout,
                           struct buf *out, struct error *err)
{
    const struct sample_bounds bounds = {
        .records = SAMPLE_RECORDS_TRIED, .bytes = SAMPLE_BYTES, .timeout = timeout};
    struct sample sample;
    int32_t partitions;

    if (!partitions_of(x, client, timeout, &partitions, err)) {
        return false;
    }
    struct sampler *s = sampler_new(client, x->cfg, err);
    if (s == NULL) {
        return false;
    }
    bool ok = sampler_read(s, x->topic, partitions, &bounds, &sample, err);
    if (ok) {
        ok = print_sample(x, &sample, out, err);
        sample_done(&sample);
    }
    sampler_free(s);
    return ok;
}
