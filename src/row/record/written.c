/* See written.h. */
#include "row/record/written.h"

#include "base/mem.h"
#include "row/schema/logical.h"

#include <inttypes.h>
#include <stdlib.h>

/* How many mappings are remembered; with more, it begins again. */
#define LISTS_MAX 64

/* One value of a mapping, as it was met last: by another branch of a union it is another. */
struct meaning {
    const struct shape *shape; /* only compared; NULL: none yet */
    struct logical logical;
};

struct meaning_list {
    uint64_t fingerprint; /* of the mapping */
    struct meaning *of;
    size_t count;
};

static void forget_meanings(struct written *w)
{
    for (size_t i = 0; i < w->list_count; i++) {
        for (size_t k = 0; k < w->lists[i].count; k++) {
            logical_done(&w->lists[i].of[k].logical);
        }
        free(w->lists[i].of);
    }
    w->list_count = 0;
    w->last = 0;
}

void written_done(struct written *w)
{
    forget_meanings(w);
    free(w->lists);
    schema_table_done(&w->known);
    buf_done(&w->text);
    *w = (struct written){0};
}

void written_learn(struct written *w, const struct schema_ref *ref, const struct schema *schema,
                   const struct error *fault)
{
    struct schema_entry *e = schema_table_find(&w->known, ref);

    if (e == NULL && schema == NULL && fault == NULL) {
        return;
    }
    e = e != NULL ? e : schema_table_add(&w->known, ref);
    if (e->schema != NULL && e->schema != schema) {
        forget_meanings(w); /* another one may come to lie where its shapes were */
    }
    if (schema == NULL && fault == NULL) {
        schema_table_remove(&w->known, e);
    } else {
        schema_table_set(&w->known, e, schema, fault);
    }
}

void written_begin(struct written *w)
{
    w->is_lacking = false;
    w->value = (struct written_part){0};
    w->key = (struct written_part){0};
}

/* ---- names ---- */

static void print_guid(const uint8_t *guid, struct buf *out)
{
    for (size_t i = 0; i < 16; i++) {
        bool is_group = i == 4 || i == 6 || i == 8 || i == 10;
        buf_printf(out, is_group ? "-%02x" : "%02x", guid[i]);
    }
}

void written_print_ref(const struct schema_ref *ref, struct buf *out)
{
    switch (ref->kind) {
    case SCHEMA_REF_GUID:
        buf_add_z(out, "schema ");
        print_guid(ref->guid, out);
        return;
    case SCHEMA_REF_GLOBAL:
        buf_printf(out, "schema globalId %" PRId64, ref->id);
        return;
    case SCHEMA_REF_CONTENT:
        buf_printf(out, "schema contentId %" PRId64, ref->id);
        return;
    case SCHEMA_REF_NONE:
    case SCHEMA_REF_ID:
    case SCHEMA_REF_SUBJECT:
        break;
    }
    buf_printf(out, "schema %" PRId64, ref->id);
}

static void set_name(struct cell *c, const struct written_part *p)
{
    bool is_named = p->shape != NULL && p->shape->name.p != NULL;

    *c = (struct cell){.kind = is_named ? CELL_STRING : CELL_ABSENT};
    c->text = is_named ? p->shape->name : (struct str){0};
}

static void set_id(struct written *w, struct cell *c)
{
    const struct schema_ref *ref = &w->value.ref;

    *c = (struct cell){.kind = CELL_ABSENT};
    if (ref->kind == SCHEMA_REF_GUID) {
        buf_clear(&w->text);
        print_guid(ref->guid, &w->text);
        c->kind = CELL_STRING;
        c->text = buf_str(&w->text);
    } else if (ref->kind != SCHEMA_REF_NONE) {
        cell_set_int(c, ref->id, UNIT_NONE);
    }
}

void written_fill(struct written *w, const struct mapping *m, struct cell *cells)
{
    struct cell *to = cells + mapping_source_cell(m);

    for (size_t i = 0; i < m->source_count; i++) {
        if (m->sources[i].kind == SOURCE_SCHEMA) {
            set_name(&to[i], &w->value);
        } else if (m->sources[i].kind == SOURCE_SCHEMA_ID) {
            set_id(w, &to[i]);
        }
    }
}

/* ---- finding the schema ---- */

static bool lack(struct written *w, const struct schema_ref *ref, struct error *err)
{
    _cleanup_buf_ struct buf text = {0};

    w->is_lacking = true;
    w->lacked = *ref;
    written_print_ref(ref, &text);
    return error_set(err, ERROR_AGAIN, "%s is not known yet", buf_cstr(&text));
}

static bool check_language(const struct format *f, const char *what, const struct schema_ref *ref,
                           const struct schema *schema, struct error *err)
{
    _cleanup_buf_ struct buf text = {0};

    if (schema_language(schema) == f->language) {
        return true;
    }
    written_print_ref(ref, &text);
    error_set(err, ERROR_RECORD, "the %s was written with %s, which is of type %s, not %s", what,
              buf_cstr(&text), schema_language_name(schema_language(schema)),
              schema_language_name(f->language));
    return error_sqlstate(err, "22P03");
}

bool written_open(struct written *w, const struct format *f, const struct framing *framing,
                  const struct message *msg, bool of_key, struct format_input *in,
                  struct error *err)
{
    struct written_part *part = of_key ? &w->key : &w->value;
    struct framed framed;

    if (!framing_read(framing, msg, of_key, &framed, err)) {
        return false;
    }
    in->bytes = framed.payload;
    if (framed.ref.kind == SCHEMA_REF_NONE) {
        return true;
    }
    const struct schema_entry *e = schema_table_find(&w->known, &framed.ref);
    if (e == NULL) {
        return lack(w, &framed.ref, err);
    }
    if (e->fault != NULL) {
        *err = *e->fault;
        return false;
    }
    if (!check_language(f, in->what, &framed.ref, e->schema, err)) {
        return false;
    }
    in->schema = e->schema;
    in->shape = f->pick != NULL ? f->pick(e->schema, &framed, err) : schema_root(e->schema, 0);
    part->ref = framed.ref;
    part->shape = in->shape;
    return in->shape != NULL;
}

/* ---- meanings ---- */

static struct meaning_list *list_of(struct written *w, const struct mapping *m)
{
    for (size_t i = 0; i < w->list_count; i++) {
        size_t at = (w->last + i) % w->list_count;
        if (w->lists[at].fingerprint == m->fingerprint && w->lists[at].count == m->meaning_count) {
            w->last = at;
            return &w->lists[at];
        }
    }
    if (w->list_count == LISTS_MAX) {
        forget_meanings(w);
    }
    w->lists = mem_realloc(w->lists, w->list_count + 1, sizeof *w->lists);
    w->last = w->list_count++;
    w->lists[w->last] = (struct meaning_list){
        .fingerprint = m->fingerprint,
        .of = mem_array(m->meaning_count, sizeof *w->lists->of),
        .count = m->meaning_count,
    };
    return &w->lists[w->last];
}

const struct logical *written_logical(struct written *w, const struct mapping *m, size_t meaning,
                                      const struct shape *shape)
{
    if (shape == NULL) {
        return NULL;
    }
    struct meaning *of = &list_of(w, m)->of[meaning];
    if (of->shape != shape) {
        const struct meant v = mapping_meant(m, meaning);
        logical_done(&of->logical);
        of->logical = (struct logical){.kind = LOGICAL_PLAIN};
        logical_of_shape(shape, v.fill->column, &m->meanings, &of->logical);
        struct logical *inner = of->logical.element != NULL ? of->logical.element : &of->logical;
        if (inner->kind == LOGICAL_PLAIN && inner->unit == UNIT_NONE) {
            inner->unit = v.fill->unit; /* the schema says nothing about a number */
        }
        of->shape = shape;
    }
    return &of->logical;
}
