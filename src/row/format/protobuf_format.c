/*
 * First a message is gone over, which shows where its fields are: they may come in any order, and
 * more than once. Then each field that is wanted is read. What is wanted of a message of one shape
 * at one node of the tree is worked out once, and kept.
 */
#include "row/format/protobuf_format.h"

#include "base/mem.h"
#include "row/format/protobuf_json.h"
#include "row/format/protobuf_wire.h"
#include "row/format/shape_json.h"
#include "row/json/met.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* So many of the newest plans are kept. */
enum { PLANS_MAX = 64 };

#define OUT_LEAST ((size_t) 64 << 20)
#define OUT_PER_BYTE 32
#define OUT_MOST ((size_t) 512 << 20)

/* A field that is wanted, and where: a node of a user's path, one of a column. */
struct wanted {
    uint32_t field;
    uint32_t path;
    uint32_t column;
};

/* What is wanted of a message of that shape at that node. */
struct part {
    const struct shape *shape;
    struct part *next; /* of another shape at the same node */
    uint32_t *want;    /* per field: its place in `wanted`, PIECE_NONE if it is not */
    struct wanted *wanted;
    size_t wanted_count;
    size_t wanted_cap;
    uint32_t two; /* a column that two fields meet, FIELD_NONE if there is none; which they are: */
    uint32_t one_field;
    uint32_t other_field;
};

struct plan {
    const struct schema *schema; /* held; NULL: a free place */
    const struct shape *shape;
    uint64_t print; /* of the tree of names */
    size_t node_count;
    struct part **parts; /* per node */
};

struct protobuf_plans {
    struct plan of[PLANS_MAX];
    size_t last; /* used last */
    size_t next; /* made next */
    struct protobuf_wire wire;
    struct buf key; /* of a map, with padding */
};

struct run {
    struct protobuf_wire *w;
    struct protobuf_json json;
    struct plan *plan;
    const struct fields *f;
    struct cell *cells;
    struct format_scratch *s;
    struct buf *key;
};

/* ---- plans ---- */

static void plan_done(struct plan *plan)
{
    for (size_t i = 0; i < plan->node_count; i++) {
        struct part *next;
        for (struct part *part = plan->parts[i]; part != NULL; part = next) {
            next = part->next;
            free(part->want);
            free(part->wanted);
            free(part);
        }
    }
    free(plan->parts);
    schema_drop(plan->schema);
    *plan = (struct plan){0};
}

struct protobuf_plans *protobuf_plans_free(struct protobuf_plans *p)
{
    if (p != NULL) {
        for (size_t i = 0; i < PLANS_MAX; i++) {
            plan_done(&p->of[i]);
        }
        protobuf_wire_done(&p->wire);
        buf_done(&p->key);
        free(p);
    }
    return NULL;
}

static bool is_for(const struct plan *plan, const struct format_input *in)
{
    return plan->shape == in->shape && plan->print == in->names->print &&
           plan->node_count == in->names->count;
}

static struct plan *plan_of(struct protobuf_plans *p, const struct format_input *in)
{
    if (is_for(&p->of[p->last], in)) {
        return &p->of[p->last];
    }
    for (size_t i = 0; i < PLANS_MAX; i++) {
        if (is_for(&p->of[i], in)) {
            p->last = i;
            return &p->of[i];
        }
    }
    struct plan *plan = &p->of[p->next];
    plan_done(plan);
    *plan = (struct plan){
        .schema = schema_hold(in->schema),
        .shape = in->shape,
        .print = in->names->print,
        .node_count = in->names->count,
        .parts = mem_array(in->names->count, sizeof(struct part *)),
    };
    p->last = p->next;
    p->next = (p->next + 1) % PLANS_MAX;
    return plan;
}

/* The name with bytes after it that can be read, until the next one. */
static struct str padded(struct run *r, struct str name)
{
    buf_clear(r->key);
    buf_add_str(r->key, name);
    buf_fill(r->key, 0, FIELD_PADDING);
    return (struct str){.p = (const char *) r->key->p, .n = name.n};
}

/* Two fields whose names the policy leads to one column. */
static void note_meeting(struct part *part, uint32_t field, uint32_t column)
{
    for (size_t i = 0; i < part->wanted_count && column != FIELD_NONE; i++) {
        if (part->wanted[i].column == column) {
            part->two = column;
            part->one_field = part->wanted[i].field;
            part->other_field = field;
        }
    }
}

static struct part *part_new(struct run *r, const struct shape *s, uint32_t node)
{
    struct part *part = mem_zalloc(sizeof *part);

    part->shape = s;
    part->two = FIELD_NONE;
    part->want = mem_array(s->field_count, sizeof *part->want);
    for (uint32_t i = 0; i < s->field_count; i++) {
        struct str name = padded(r, s->fields[i].name);
        uint32_t path = fields_find(r->f, node, name);
        uint32_t column = fields_find_row(r->f, node, name);
        part->want[i] = PIECE_NONE;
        if (path == FIELD_NONE && column == FIELD_NONE) {
            continue;
        }
        note_meeting(part, i, column);
        part->want[i] = (uint32_t) part->wanted_count;
        part->wanted = mem_grow(part->wanted, &part->wanted_cap, part->wanted_count,
                                sizeof *part->wanted);
        part->wanted[part->wanted_count++] = (struct wanted){i, path, column};
    }
    return part;
}

static const struct part *part_of(struct run *r, const struct shape *s, uint32_t node)
{
    struct part **at = &r->plan->parts[node];

    while (*at != NULL && (*at)->shape != s) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        *at = part_new(r, s, node);
    }
    return *at;
}

/* ---- cells ---- */

static bool put_message(struct run *r, const struct shape *s, struct str bytes, uint32_t node);
static bool put_field(struct run *r, const struct shape_field *f, struct protobuf_seen seen,
                      uint32_t node);

static bool has_fields(const struct run *r, uint32_t node)
{
    const struct field *f = &r->f->nodes[node];

    return f->children + f->row_children > 0;
}

/* Is the JSON of a record, a map or an array at that node wanted? */
static bool wants_json(const struct run *r, uint32_t node)
{
    return r->f->nodes[node].is_whole || !has_fields(r, node);
}

static void set_text(struct cell *c, enum cell_kind kind, struct str text)
{
    c->kind = kind;
    c->text = text;
    c->raw = (struct str){0};
}

static void set_whole(struct run *r, const struct shape *s, uint64_t n, uint32_t node)
{
    struct cell *c = &r->cells[node];
    char *room = r->s->nodes[node].room;

    if (s->kind == SHAPE_BOOL) {
        c->kind = CELL_BOOL;
        c->truth = n != 0;
    } else if (s->kind == SHAPE_ENUM) {
        set_text(c, CELL_STRING, protobuf_symbol(s, (int32_t) n, room));
    } else if (s->kind == SHAPE_UINT64 && n > INT64_MAX) {
        int digits = snprintf(room, JSON_DOUBLE_MAX, "%" PRIu64, n);
        shape_cell_json(c, (struct str){.p = room, .n = (size_t) digits});
    } else {
        cell_set_int(c, (int64_t) n, UNIT_NONE);
    }
}

static void set_string(struct cell *c, const struct shape *s, struct str text)
{
    bool is_text = s->kind == SHAPE_STRING && (!s->is_loose || str_utf8(text, NULL));

    set_text(c, is_text ? CELL_STRING : CELL_BYTES, text);
}

/* A value that has no parts. */
static void put_scalar(struct run *r, const struct shape *s, const struct protobuf_piece *piece,
                       uint32_t node)
{
    struct cell *c = &r->cells[node];
    char *room = r->s->nodes[node].room;
    const uint8_t *p = piece->p;

    r->s->nodes[node].shape = s;
    if (s->kind == SHAPE_STRING || s->kind == SHAPE_BYTES) {
        set_string(c, s, (struct str){.p = (const char *) p, .n = (size_t) (piece->end - p)});
    } else if (s->kind == SHAPE_DOUBLE) {
        shape_cell_double(c, room, protobuf_double(&p));
    } else if (s->kind == SHAPE_FLOAT) {
        shape_cell_float(c, room, protobuf_float(&p));
    } else {
        set_whole(r, s, protobuf_number(s, &p, piece->end), node);
    }
}

/* A field that was not written. */
static void put_nothing(struct run *r, const struct shape_field *f, uint32_t node)
{
    const struct shape *s = f->shape;
    struct cell *c = &r->cells[node];

    if (f->is_optional) {
        c->kind = CELL_NULL;
        return;
    }
    r->s->nodes[node].shape = s;
    if (s->kind == SHAPE_STRING || s->kind == SHAPE_BYTES) {
        set_string(c, s, STR_LIT(""));
    } else if (s->kind == SHAPE_DOUBLE || s->kind == SHAPE_FLOAT) {
        shape_cell_double(c, r->s->nodes[node].room, 0);
    } else {
        set_whole(r, s, 0, node);
    }
}

static bool put_json_field(struct run *r, const struct shape_field *f, struct protobuf_seen seen,
                           uint32_t node)
{
    size_t begin = r->s->json.n;
    bool ok = protobuf_json_field(&r->json, f, seen);

    format_scratch_json(r->s, node, begin);
    return ok;
}

static bool put_json_message(struct run *r, const struct shape *s, struct str bytes, uint32_t node)
{
    size_t begin = r->s->json.n;
    bool ok = protobuf_json_message(&r->json, s, bytes);

    format_scratch_json(r->s, node, begin);
    return ok;
}

/* ---- maps ---- */

/* The map has the key once more: what the earlier value had is gone. */
static void forget(struct run *r, uint32_t node)
{
    for (uint32_t i = node; i < r->f->count; i++) {
        if (i == node || fields_below(r->f, i, node)) {
            r->cells[i].kind = CELL_ABSENT;
            r->s->nodes[i].shape = NULL;
            r->s->nodes[i].json_n = 0;
        }
    }
}

/* Another key has met the column. */
static bool check_met(struct run *r, uint32_t column, struct str key)
{
    struct str *met = &r->s->nodes[column].met;
    struct str earlier = *met;

    *met = arena_copy(&r->w->merged, key);
    return r->cells[column].kind == CELL_ABSENT || str_eq(earlier, key) ||
           met_two_names(r->f, column, earlier, key, r->w->err);
}

static bool put_entry_value(struct run *r, const struct shape_field *f, struct protobuf_seen seen,
                            uint32_t node)
{
    forget(r, node);
    if (seen.first == PIECE_NONE && f->shape->kind == SHAPE_RECORD) {
        return put_message(r, f->shape, STR_LIT(""), node); /* empty, not null */
    }
    return put_field(r, f, seen, node);
}

/* The key as the name that it is in a path. */
static bool key_name(struct run *r, const struct shape_field *f, struct protobuf_seen seen,
                     struct str *out)
{
    struct protobuf_json digits = r->json;

    buf_clear(r->key);
    if (f->shape->kind == SHAPE_STRING) {
        if (seen.first != PIECE_NONE) {
            const struct protobuf_piece *piece = &r->w->pieces[seen.first];
            buf_add(r->key, piece->p, (size_t) (piece->end - piece->p));
        }
    } else {
        struct shape_field always = *f;
        always.is_optional = false;
        digits.out = r->key;
        if (!protobuf_json_field(&digits, &always, seen)) {
            return false;
        }
    }
    size_t n = r->key->n;
    buf_fill(r->key, 0, FIELD_PADDING);
    *out = (struct str){.p = (const char *) r->key->p, .n = n};
    return true;
}

static bool put_entry(struct run *r, const struct shape *map, struct protobuf_seen key,
                      struct protobuf_seen value, uint32_t node)
{
    const struct shape_field *f = &map->entry->fields[1];
    struct str name;

    if (!key_name(r, &map->entry->fields[0], key, &name)) {
        return false;
    }
    uint32_t path = fields_find(r->f, node, name);
    uint32_t column = fields_find_row(r->f, node, name);
    if (column != FIELD_NONE && !check_met(r, column, name)) {
        return false;
    }
    return (path == FIELD_NONE || put_entry_value(r, f, value, path)) &&
           (column == FIELD_NONE || put_entry_value(r, f, value, column));
}

static bool put_entries(struct run *r, const struct shape *map, struct protobuf_seen seen,
                        uint32_t node)
{
    struct protobuf_wire *w = r->w;

    for (uint32_t at = seen.first; at != PIECE_NONE;) {
        struct protobuf_piece piece = w->pieces[at];
        size_t pieces = w->piece_count;
        size_t base = protobuf_seen_push(w, 2);
        at = piece.next;
        if (!protobuf_collect(w, map->entry, piece.p, piece.end, NULL, base) ||
            !put_entry(r, map, w->seen[base], w->seen[base + 1], node)) {
            return false;
        }
        w->seen_count = base;
        w->piece_count = pieces;
    }
    return true;
}

static bool put_map(struct run *r, const struct shape_field *f, struct protobuf_seen seen,
                    uint32_t node)
{
    set_text(&r->cells[node], CELL_JSON, STR_LIT("{}"));
    return (!wants_json(r, node) || put_json_field(r, f, seen, node)) &&
           (!has_fields(r, node) || put_entries(r, f->shape, seen, node));
}

/* ---- messages ---- */

/* Checks what is not rendered. */
static bool check_pieces(struct run *r, const struct shape *s, struct protobuf_seen seen)
{
    for (uint32_t at = seen.first; at != PIECE_NONE; at = r->w->pieces[at].next) {
        struct protobuf_piece piece = r->w->pieces[at];
        if (s->kind == SHAPE_RECORD && !protobuf_check(r->w, s, piece.p, piece.end)) {
            return false;
        }
    }
    return true;
}

static bool put_field(struct run *r, const struct shape_field *f, struct protobuf_seen seen,
                      uint32_t node)
{
    const struct shape *s = f->shape;

    if (f->is_repeated) {
        r->s->nodes[node].shape = s;
        if (s->kind == SHAPE_MAP) {
            return put_map(r, f, seen, node);
        }
        set_text(&r->cells[node], CELL_JSON, STR_LIT("[]"));
        return wants_json(r, node) ? put_json_field(r, f, seen, node)
                                   : check_pieces(r, s->element, seen);
    }
    if (seen.first == PIECE_NONE) {
        put_nothing(r, f, node);
        return true;
    }
    if (s->kind == SHAPE_RECORD) {
        struct str bytes;
        return protobuf_merged(r->w, seen, &bytes) && put_message(r, s, bytes, node);
    }
    put_scalar(r, s, &r->w->pieces[seen.first], node);
    return true;
}

/* What is done with a message after it has been gone over. */
typedef bool (*reader)(struct run *r, const struct shape *s, size_t base, uint32_t node);

static bool read_message(struct run *r, const struct shape *s, struct str bytes,
                         const uint32_t *want, size_t count, uint32_t node, reader read)
{
    struct protobuf_wire *w = r->w;
    const uint8_t *p = (const uint8_t *) bytes.p;
    size_t pieces = w->piece_count;
    size_t base = protobuf_seen_push(w, count);

    if (!protobuf_collect(w, s, p, p + bytes.n, want, base)) {
        return false;
    }
    w->depth++;
    bool ok = read(r, s, base, node);
    w->depth--;
    w->seen_count = base;
    w->piece_count = pieces;
    return ok;
}

static bool put_parts(struct run *r, const struct shape *s, size_t base, uint32_t node)
{
    const struct part *part = part_of(r, s, node);

    for (size_t i = 0; i < part->wanted_count; i++) {
        const struct wanted *its = &part->wanted[i];
        const struct shape_field *f = &s->fields[its->field];
        struct protobuf_seen seen = r->w->seen[base + i];
        if ((its->path != FIELD_NONE && !put_field(r, f, seen, its->path)) ||
            (its->column != FIELD_NONE && !put_field(r, f, seen, its->column))) {
            return false;
        }
    }
    return part->two == FIELD_NONE ||
           met_two_names(r->f, part->two, s->fields[part->one_field].name,
                         s->fields[part->other_field].name, r->w->err);
}

/* A wrapper: the value in it, which is its default if it is not written. */
static bool put_wrapped(struct run *r, const struct shape *s, size_t base, uint32_t node)
{
    struct shape_field always = s->fields[0];

    always.is_optional = false;
    return put_field(r, &always, r->w->seen[base], node);
}

/* Members of google.protobuf.Value. */
enum {
    VALUE_NULL,
    VALUE_NUMBER,
    VALUE_STRING,
    VALUE_BOOL,
    VALUE_STRUCT,
    VALUE_LIST,
    VALUE_MEMBERS
};

/* A Value that has no parts; of others, what is below them. */
static bool put_value(struct run *r, const struct shape *s, size_t base, uint32_t node)
{
    uint32_t member = VALUE_NULL;

    for (uint32_t i = VALUE_NUMBER; i < VALUE_MEMBERS; i++) {
        member = r->w->seen[base + i].first != PIECE_NONE ? i : member;
    }
    if (member == VALUE_NULL) {
        r->cells[node].kind = CELL_NULL;
        return true;
    }
    return put_field(r, &s->fields[member], r->w->seen[base + member], node);
}

/* A Struct or a ListValue is its one field. */
static bool put_only(struct run *r, const struct shape *s, size_t base, uint32_t node)
{
    return put_field(r, &s->fields[0], r->w->seen[base], node);
}

/* google.type.Decimal, a text that is most often a number. */
static bool put_decimal(struct run *r, const struct shape *s, size_t base, uint32_t node)
{
    struct protobuf_seen seen = r->w->seen[base];
    struct str text = STR_LIT("");

    if (seen.first != PIECE_NONE) {
        const struct protobuf_piece *piece = &r->w->pieces[seen.first];
        text = (struct str){.p = (const char *) piece->p, .n = (size_t) (piece->end - piece->p)};
    }
    if (protobuf_is_number(text)) {
        r->json.is_odd |= text.n > NUMBER_PLAIN_BYTES; /* jsonb refuses very long ones */
        shape_cell_json(&r->cells[node], text);
    } else {
        set_text(&r->cells[node], CELL_STRING, text);
    }
    r->s->nodes[node].shape = s;
    return true;
}

/* A message that is more than a record of its fields. */
static bool put_known(struct run *r, const struct shape *s, struct str bytes, uint32_t node)
{
    if (s->sense == SENSE_WRAPPER) {
        return read_message(r, s, bytes, NULL, s->field_count, node, put_wrapped);
    }
    if (s->sense == SENSE_DYNAMIC) {
        return read_message(r, s, bytes, NULL, s->field_count, node,
                            s->field_count == 1 ? put_only : put_value);
    }
    if (s->sense == SENSE_DECIMAL_RECORD) {
        return read_message(r, s, bytes, NULL, s->field_count, node, put_decimal);
    }
    r->s->nodes[node].shape = s;
    r->cells[node].kind = CELL_JSON;
    return put_json_message(r, s, bytes, node);
}

static bool put_message(struct run *r, const struct shape *s, struct str bytes, uint32_t node)
{
    if (r->w->depth >= PROTOBUF_DEPTH_MAX) {
        return protobuf_too_deep(r->w);
    }
    if (protobuf_is_value(s) && (wants_json(r, node) || s->sense == SENSE_DYNAMIC)) {
        if (!put_known(r, s, bytes, node)) {
            return false;
        }
        if (s->sense == SENSE_DYNAMIC) {
            return true; /* with what is below it */
        }
    } else {
        r->s->nodes[node].shape = s;
        set_text(&r->cells[node], CELL_JSON, STR_LIT("{}"));
        if (wants_json(r, node) && !put_json_message(r, s, bytes, node)) {
            return false;
        }
    }
    if (!has_fields(r, node)) {
        return true;
    }
    const struct part *part = part_of(r, s, node);
    return read_message(r, s, bytes, part->want, part->wanted_count, node, put_parts);
}

/* ---- records ---- */

static bool read_all(struct run *r, const struct format_input *in)
{
    struct excerpt x;

    if (put_message(r, in->shape, in->bytes, 0)) {
        return true;
    }
    return error_wrap(r->w->err, "the %s is no Protobuf of '%s'", in->what,
                      excerpt_text(&x, in->shape->name));
}

bool protobuf_format_read(struct format_scratch *s, const struct format_input *in,
                          struct cell *cells, struct error *err)
{
    format_scratch_begin(s, in->names->count);
    for (size_t i = 0; i < in->names->count; i++) {
        cells[i].kind = CELL_ABSENT;
    }
    if (in->bytes.p == NULL) {
        cells[0].kind = CELL_NULL;
        return true;
    }
    if (s->protobuf == NULL) {
        s->protobuf = mem_zalloc(sizeof *s->protobuf);
    }
    struct protobuf_wire *w = &s->protobuf->wire;
    err->class = ERROR_NONE;
    protobuf_wire_begin(w, in->bytes, err);
    struct run r = {
        .w = w,
        .json = {.wire = w,
                 .out = &s->json,
                 .out_max = MIN(OUT_LEAST + OUT_PER_BYTE * in->bytes.n, OUT_MOST)},
        .plan = plan_of(s->protobuf, in),
        .f = in->names,
        .cells = cells,
        .s = s,
        .key = &s->protobuf->key,
    };
    if (!read_all(&r, in)) {
        return false;
    }
    format_scratch_end(s, cells);
    s->is_odd = r.json.is_odd;
    return true;
}
