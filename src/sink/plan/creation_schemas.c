/* See creation_schemas.h. */
#include "sink/plan/creation_schemas.h"

#include "base/mem.h"
#include "row/format/format.h"
#include "row/format/key_format.h"
#include "row/json/document.h"
#include "row/json/elements.h"
#include "row/schema/connect_schema.h"
#include "sink/plan/plan_spec.h"

#include <stdlib.h>

void creation_schemas_done(struct creation_schemas *s)
{
    for (size_t i = 0; i < s->count; i++) {
        schema_drop(s->items[i].schema);
    }
    free(s->items);
    *s = (struct creation_schemas){0};
}

struct creation_schema *creation_schemas_lack(const struct creation_schemas *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->items[i].schema == NULL && s->items[i].fault.class == ERROR_NONE) {
            return &s->items[i];
        }
    }
    return NULL;
}

void creation_written_done(struct creation_written *w)
{
    schema_drop(w->value_schema);
    schema_drop(w->key_schema);
    *w = (struct creation_written){0};
}

/* ---- Connect's JSON ---- */

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

static bool no_schema(const struct message *m, struct error *err)
{
    error_set(err, ERROR_SETUP, "the records of topic '" STR_FMT "' do not say their schema",
              STR_ARG(m->topic));
    return error_hint(err, "Create the table, or have the schema written: "
                           "value.converter.schemas.enable=true.");
}

/* The key's schema is wanted where it is there; a key that is no document has none. */
static bool read_parts(const struct message *m, struct creation_written *out, struct error *err)
{
    struct error ignored;

    if (m->value.p == NULL || !read_part(m->value, &out->value_schema, err)) {
        return m->value.p == NULL ? no_schema(m, err) : false;
    }
    if (m->key.p != NULL && !read_part(m->key, &out->key_schema, &ignored)) {
        out->key_schema = schema_drop(out->key_schema);
    }
    if (out->value_schema == NULL) {
        return no_schema(m, err);
    }
    out->value = schema_root(out->value_schema, 0);
    out->key = out->key_schema != NULL ? schema_root(out->key_schema, 0) : NULL;
    return true;
}

/* ---- a registry's ---- */

/* How the values, or the keys, of the route are read; NULL: without schemas of a registry. */
static const struct format *format_with_schemas(const struct mapping_spec *spec, bool of_key)
{
    const struct format *value = format_of(spec->format);

    if (!of_key) {
        return value->wants_schema ? value : NULL;
    }
    return key_format_schemas(spec->key_format == KEY_AUTO ? key_format_beside(spec->format)
                                                           : key_format_of(spec->key_format));
}

static const struct format *format_of_route(const struct config_route *route, bool of_key,
                                            struct framing *out_framing)
{
    struct plan_spec s;

    plan_spec_init(&s, route);
    const struct format *f = format_with_schemas(&s.mapping, of_key);
    *out_framing = (struct framing){
        .id = s.mapping.framing,
        .has_message = f != NULL && f->has_message,
        .is_binary = f != NULL && f->language == SCHEMA_AVRO,
    };
    plan_spec_done(&s);
    return f;
}

bool creation_has_registry(const struct config_route *route)
{
    struct framing ignored;

    return format_of_route(route, false, &ignored) != NULL;
}

static struct creation_schema *find(struct creation_schemas *known, const struct schema_ref *ref,
                                    bool of_key)
{
    for (size_t i = 0; i < known->count; i++) {
        bool is_same = schema_ref_same(&known->items[i].ref, ref);
        if (is_same && (ref->kind != SCHEMA_REF_NONE || known->items[i].of_key == of_key)) {
            return &known->items[i];
        }
    }
    known->items = mem_grow(known->items, &known->cap, known->count, sizeof *known->items);
    known->items[known->count] = (struct creation_schema){.ref = *ref, .of_key = of_key};
    return &known->items[known->count++];
}

/* *out is a reference of the caller's. */
static bool look_up(struct creation_schemas *known, const struct schema_ref *ref, bool of_key,
                    const struct format *f, const struct schema **out, struct error *err)
{
    const struct creation_schema *s = find(known, ref, of_key);

    if (s->schema == NULL && s->fault.class == ERROR_NONE) {
        return error_set(err, ERROR_AGAIN, "a schema is not known yet");
    }
    if (s->schema == NULL) {
        *err = s->fault;
        return false;
    }
    if (schema_language(s->schema) != f->language) {
        return error_set(err, ERROR_SETUP, "the %s are written with schemas of type %s, not %s",
                         of_key ? "keys" : "values",
                         schema_language_name(schema_language(s->schema)),
                         schema_language_name(f->language));
    }
    *out = schema_hold(s->schema);
    return true;
}

/* Of several messages nobody can say which it will be before there is a record. */
static const struct shape *only_root(const struct schema *s, struct error *err)
{
    if (schema_root_count(s) == 1) {
        return schema_root(s, 0);
    }
    error_set(err, ERROR_SETUP,
              "the subject's schema has several messages, and no record says which it is");
    return NULL;
}

static bool read_one(const struct format *f, const struct framing *framing, bool of_key,
                     struct creation_schemas *known, const struct message *m,
                     const struct schema **out_schema, const struct shape **out, struct error *err)
{
    static const struct schema_ref newest = {.kind = SCHEMA_REF_NONE};
    struct framed framed = {0};
    bool is_framed = m != NULL && framing->id != FRAMING_NONE;

    if (is_framed && !framing_read(framing, m, of_key, &framed, err)) {
        return false;
    }
    if (is_framed && framed.ref.kind == SCHEMA_REF_NONE) {
        return error_set(err, ERROR_SETUP, "the record has no %s", of_key ? "key" : "value");
    }
    if (!look_up(known, is_framed ? &framed.ref : &newest, of_key, f, out_schema, err)) {
        return false;
    }
    if (!is_framed) {
        *out = only_root(*out_schema, err);
    } else {
        *out = f->pick != NULL ? f->pick(*out_schema, &framed, err) : schema_root(*out_schema, 0);
    }
    return *out != NULL;
}

/* A key that cannot be read is none; whether there must be one the table says. */
static bool read_both(const struct config_route *route, bool wants_key,
                      struct creation_schemas *known, const struct message *m,
                      struct creation_written *out, struct error *err)
{
    struct framing framing;
    const struct format *f = format_of_route(route, false, &framing);

    if (!read_one(f, &framing, false, known, m, &out->value_schema, &out->value, err)) {
        return false;
    }
    f = wants_key ? format_of_route(route, true, &framing) : NULL;
    return f == NULL || read_one(f, &framing, true, known, m, &out->key_schema, &out->key, err) ||
           err->class != ERROR_AGAIN;
}

bool creation_read_record(const struct config_route *route, bool wants_key,
                          struct creation_schemas *known, const struct message *record,
                          struct creation_written *out, struct error *err)
{
    return creation_has_registry(route) ? read_both(route, wants_key, known, record, out, err)
                                        : read_parts(record, out, err);
}

bool creation_read_subjects(const struct config_route *route, bool wants_key,
                            struct creation_schemas *known, struct creation_written *out,
                            struct error *err)
{
    return read_both(route, wants_key, known, NULL, out, err);
}
