/*
 * Follows a plan. Each step takes what it reads from the bytes that are next; only parts of maps
 * are run one inside the other, as deep as the tree of names is.
 */
#include "row/format/avro_format.h"

#include "row/format/avro_plan.h"
#include "row/format/avro_walk.h"
#include "row/format/shape_json.h"
#include "row/json/met.h"

struct run {
    struct avro_walk walk;
    const struct avro_plan *plan;
    const struct fields *f;
    struct cell *cells;
    struct format_scratch *s;
};

static bool run_steps(struct run *r, uint32_t at);

/* ---- composites ---- */

/* The JSON of the value at the place, which may have been read already. */
static bool read_json(struct run *r, const struct avro_step *step)
{
    struct buf *json = &r->s->json;
    size_t begin = json->n;

    r->walk.out = json;
    bool ok = avro_walk_value(&r->walk, step->shape);
    r->walk.out = NULL;
    format_scratch_json(r->s, step->node, begin);
    return ok;
}

static void set_open(struct cell *c, struct str text)
{
    c->kind = CELL_JSON;
    c->text = text;
}

/* The value from its beginning once more, after what is below it has been taken out. */
static bool read_again(struct run *r, const struct avro_step *step)
{
    const uint8_t *end = r->walk.bytes.p;

    r->walk.bytes.p = r->s->nodes[step->node].begin;
    bool ok = read_json(r, step);
    r->walk.bytes.p = end;
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

static uint32_t part_of(const struct run *r, const struct avro_step *map, uint32_t node)
{
    const struct avro_part *part = &r->plan->parts[map->jump];

    while (part->node != node) {
        part++;
    }
    return part->step;
}

/* The key with bytes after it that can be read. */
static struct str padded(struct run *r, struct str key, struct buf *room)
{
    if ((size_t) (r->walk.bytes.end - (const uint8_t *) key.p) >= key.n + FIELD_PADDING) {
        return key;
    }
    buf_clear(room);
    buf_add_str(room, key);
    buf_fill(room, 0, FIELD_PADDING);
    return (struct str){.p = (const char *) room->p, .n = key.n};
}

/* Another key has met the column. */
static bool check_met(struct run *r, uint32_t column, struct str key)
{
    struct str *met = &r->s->nodes[column].met;
    struct str earlier = *met;

    *met = key;
    return r->cells[column].kind == CELL_ABSENT || str_eq(earlier, key) ||
           met_two_names(r->f, column, earlier, key, r->walk.bytes.err);
}

static bool read_entry(struct run *r, const struct avro_step *map, struct buf *room)
{
    struct avro_bytes *b = &r->walk.bytes;
    struct str key;

    if (!avro_text(b, &key)) {
        return false;
    }
    const uint8_t *begin = b->p;
    struct str name = padded(r, key, room);
    uint32_t path = fields_find(r->f, map->node, name);
    uint32_t column = fields_find_row(r->f, map->node, name);
    if (path == FIELD_NONE && column == FIELD_NONE) {
        return avro_walk_value(&r->walk, map->shape->element);
    }
    if (column != FIELD_NONE && !check_met(r, column, key)) {
        return false;
    }
    if (path != FIELD_NONE) {
        forget(r, path);
        if (!run_steps(r, part_of(r, map, path))) {
            return false;
        }
    }
    if (column != FIELD_NONE) {
        b->p = begin;
        forget(r, column);
        return run_steps(r, part_of(r, map, column));
    }
    return true;
}

static bool read_map(struct run *r, const struct avro_step *map)
{
    _cleanup_buf_ struct buf room = {0};
    struct avro_block block = {0};
    bool more;

    r->s->nodes[map->node].begin = r->walk.bytes.p;
    set_open(&r->cells[map->node], STR_LIT("{}"));
    for (;;) {
        if (!avro_next(&r->walk.bytes, &block, &more)) {
            return false;
        }
        if (!more) {
            return !map->is_whole || read_again(r, map);
        }
        if (!read_entry(r, map, &room)) {
            return false;
        }
    }
}

/* ---- steps ---- */

static void set_text(struct cell *c, enum cell_kind kind, struct str text)
{
    c->kind = kind;
    c->text = text;
    c->raw = (struct str){0};
}

static bool read_enum(struct run *r, const struct shape *s, struct cell *c)
{
    uint32_t symbol;

    if (!avro_index(&r->walk.bytes, "symbol", s->symbol_count, &symbol)) {
        return false;
    }
    set_text(c, CELL_STRING, s->symbols[symbol]);
    return true;
}

static bool read_floating(struct run *r, const struct avro_step *step, struct cell *c)
{
    char *room = r->s->nodes[step->node].room;
    double d;
    float f;

    if (step->op == AVRO_FLOAT) {
        if (!avro_float(&r->walk.bytes, &f)) {
            return false;
        }
        shape_cell_float(c, room, f);
        return true;
    }
    if (!avro_double(&r->walk.bytes, &d)) {
        return false;
    }
    shape_cell_double(c, room, d);
    return true;
}

static bool two_fields(struct run *r, const struct avro_step *step)
{
    _cleanup_buf_ struct buf room = {0};
    const struct shape_field *fields = step->shape->fields;
    uint32_t parent = r->f->nodes[step->node].parent;
    uint32_t i = 0;

    while (fields_find_row(r->f, parent, padded(r, fields[i].name, &room)) != step->node) {
        i++;
    }
    return met_two_names(r->f, step->node, fields[i].name, fields[step->jump].name,
                         r->walk.bytes.err);
}

/* A value into the cell of its node. */
static inline bool read_value(struct run *r, const struct avro_step *step)
{
    struct avro_bytes *b = &r->walk.bytes;
    struct cell *c = &r->cells[step->node];
    struct str text;
    int64_t n;

    r->s->nodes[step->node].shape = step->shape;
    switch ((enum avro_op) step->op) {
    case AVRO_INT32:
    case AVRO_INT64:
        if (!(step->op == AVRO_INT32 ? avro_int(b, &n) : avro_long(b, &n))) {
            return false;
        }
        cell_set_int(c, n, (enum time_unit) step->unit);
        return true;
    case AVRO_STRING:
        if (!avro_text(b, &text)) {
            return false;
        }
        set_text(c, CELL_STRING, text);
        return true;
    case AVRO_BYTES:
        if (!avro_run(b, &text)) {
            return false;
        }
        set_text(c, CELL_BYTES, text);
        return true;
    case AVRO_FIXED:
        if (!avro_take(b, (size_t) step->shape->length, "a fixed", &text)) {
            return false;
        }
        set_text(c, CELL_BYTES, text);
        return true;
    case AVRO_BOOL:
        c->kind = CELL_BOOL;
        return avro_bool(b, &c->truth);
    case AVRO_ENUM:
        return read_enum(r, step->shape, c);
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        return read_floating(r, step, c);
    case AVRO_NULL:
        c->kind = CELL_NULL;
        r->s->nodes[step->node].shape = NULL;
        return true;
    case AVRO_JSON:
        c->kind = CELL_JSON;
        return read_json(r, step);
    case AVRO_LIST:
        set_open(c, STR_LIT("[]"));
        return avro_walk_value(&r->walk, step->shape);
    case AVRO_OPEN:
        set_open(c, STR_LIT("{}"));
        r->s->nodes[step->node].begin = b->p;
        return true;
    case AVRO_CLOSE:
        return read_again(r, step);
    case AVRO_MAP:
        return read_map(r, step);
    case AVRO_END:
    case AVRO_SKIP:
    case AVRO_OPTION:
    case AVRO_UNION:
    case AVRO_JUMP:
    case AVRO_MARK:
    case AVRO_REWIND:
    case AVRO_TWO:
        break;
    }
    __builtin_unreachable();
}

/* Is the single value null? */
static inline bool read_option(struct run *r, const struct avro_step *step, bool *out_null)
{
    uint32_t branch;

    if (!avro_index(&r->walk.bytes, "branch", 2, &branch)) {
        return false;
    }
    *out_null = branch + 1 == step->null;
    if (*out_null) {
        r->cells[step->node].kind = CELL_NULL;
    }
    return true;
}

/* A step that decides which one is next; *at is it. */
static inline bool take_turn(struct run *r, const struct avro_step *step, uint32_t *at)
{
    uint32_t branch;

    if (step->op == AVRO_OPTION) {
        if (!avro_index(&r->walk.bytes, "branch", 2, &branch)) {
            return false;
        }
        if (branch + 1 == step->null) {
            r->cells[step->node].kind = CELL_NULL;
            *at = step->jump;
        }
    } else if (step->op == AVRO_UNION) {
        if (!avro_index(&r->walk.bytes, "branch", step->shape->branch_count, &branch)) {
            return false;
        }
        *at = r->plan->targets[step->jump + branch];
    } else if (step->op == AVRO_JUMP) {
        *at = step->jump;
    } else if (step->op == AVRO_MARK) {
        r->s->nodes[step->node].mark = r->walk.bytes.p;
    } else { /* AVRO_REWIND */
        r->walk.bytes.p = r->s->nodes[step->node].mark;
    }
    return true;
}

static bool run_steps(struct run *r, uint32_t at)
{
    for (;;) {
        const struct avro_step *step = &r->plan->steps[at++];
        bool ok;
        if (step->op == AVRO_SKIP) {
            ok = avro_walk_value(&r->walk, step->shape);
        } else if (step->op == AVRO_END) {
            return true;
        } else if (step->op < AVRO_OPTION) {
            bool is_null = false;
            ok = (step->null == 0 || read_option(r, step, &is_null)) &&
                 (is_null || read_value(r, step));
        } else if (step->op < AVRO_TWO) {
            ok = take_turn(r, step, &at);
        } else {
            ok = two_fields(r, step);
        }
        if (!ok) {
            return false;
        }
    }
}

/* ---- records ---- */

static bool read_all(struct run *r, const struct format_input *in)
{
    const struct avro_bytes *b = &r->walk.bytes;
    struct excerpt x;

    if (run_steps(r, 0) && b->p == b->end) {
        return true;
    }
    if (b->err->class == ERROR_NONE) {
        avro_fault(b, b->p, "%zu bytes are left over", avro_left(b));
    }
    bool has_name = in->shape->name.p != NULL;
    return error_wrap(b->err, "the %s is no Avro%s%s%s", in->what, has_name ? " of '" : "",
                      has_name ? excerpt_text(&x, in->shape->name) : "", has_name ? "'" : "");
}

static bool is_record(const struct format_input *in, const struct cell *root)
{
    return in->names->count == 1 || in->any || root->kind == CELL_NULL || cell_is_object(root);
}

bool avro_format_read(struct format_scratch *s, const struct format_input *in, struct cell *cells,
                      struct error *err)
{
    struct run r = {.f = in->names, .cells = cells, .s = s};

    format_scratch_begin(s, in->names->count);
    for (size_t i = 0; i < in->names->count; i++) {
        cells[i].kind = CELL_ABSENT;
    }
    if (in->bytes.p == NULL) {
        cells[0].kind = CELL_NULL;
        return true;
    }
    if (s->avro == NULL) {
        s->avro = avro_plans_new();
    }
    r.plan = avro_plans_get(s->avro, in->schema, in->shape, in->names, err);
    if (r.plan == NULL) {
        return error_wrap(err, "the %s", in->what);
    }
    err->class = ERROR_NONE;
    avro_walk_begin(&r.walk, in->bytes, err);
    if (!read_all(&r, in)) {
        return false;
    }
    format_scratch_end(s, cells);
    s->is_odd = r.walk.is_odd;
    if (!is_record(in, &cells[0])) {
        error_set(err, ERROR_RECORD, "the %s is %s, not a record", in->what,
                  cell_kind_name(&cells[0]));
        return error_sqlstate(err, "22P02");
    }
    return true;
}
