/* See avro_walk.h. */
#include "row/format/avro_walk.h"

#include "row/format/shape_json.h"

/* Numbers of more bytes may be too long for the numeric of jsonb. */
enum { NUMBER_PLAIN_BYTES = 1024, SCALE_PLAIN = 1024 };

#define BUDGET_LEAST 65536
#define BUDGET_PER_BYTE 8
#define OUT_LEAST ((size_t) 64 << 20)
#define OUT_PER_BYTE 32
#define OUT_MOST ((size_t) 512 << 20)

void avro_walk_begin(struct avro_walk *w, struct str bytes, struct error *err)
{
    const uint8_t *p = (const uint8_t *) bytes.p;

    *w = (struct avro_walk){
        .bytes = {.p = p, .end = p + bytes.n, .begin = p, .err = err},
        .budget = BUDGET_LEAST + BUDGET_PER_BYTE * (uint64_t) bytes.n,
        .out_max = MIN(OUT_LEAST + OUT_PER_BYTE * bytes.n, OUT_MOST),
    };
}

static bool too_deep(const struct avro_walk *w)
{
    error_set(w->bytes.err, ERROR_RECORD, "it is nested deeper than %d levels", AVRO_DEPTH_MAX);
    return error_sqlstate(w->bytes.err, "54001");
}

static bool too_much(const struct avro_walk *w)
{
    if (w->budget == 0) {
        return avro_fault(&w->bytes, w->bytes.p, "far more values than bytes");
    }
    error_set(w->bytes.err, ERROR_RECORD, "its JSON would have more than %zu bytes", w->out_max);
    return error_sqlstate(w->bytes.err, "54000");
}

/* ---- what has no parts ---- */

static bool walk_text(struct avro_walk *w, struct str *out)
{
    if (!avro_text(&w->bytes, out)) {
        return false;
    }
    if (w->out != NULL) {
        w->is_odd |= out->n > 0 && memchr(out->p, 0, out->n) != NULL;
        shape_json_string(w->out, *out);
    }
    return true;
}

static bool put_bytes(struct avro_walk *w, const struct shape *s, struct str bytes)
{
    if (w->out == NULL) {
        return true;
    }
    w->is_odd |= s->sense == SENSE_DECIMAL && (bytes.n > NUMBER_PLAIN_BYTES ||
                                               s->scale > SCALE_PLAIN || s->scale < -SCALE_PLAIN);
    return shape_json_bytes(w->out, s, bytes, w->bytes.err);
}

static bool walk_int(struct avro_walk *w, const struct shape *s)
{
    int64_t n = 0;
    bool ok = s->kind == SHAPE_INT32 ? avro_int(&w->bytes, &n) : avro_long(&w->bytes, &n);

    if (ok && w->out != NULL) {
        shape_json_int(w->out, s, n);
    }
    return ok;
}

static bool walk_float(struct avro_walk *w)
{
    float f = 0;
    bool ok = avro_float(&w->bytes, &f);

    if (ok && w->out != NULL) {
        shape_json_float(w->out, f);
    }
    return ok;
}

static bool walk_double(struct avro_walk *w)
{
    double d = 0;
    bool ok = avro_double(&w->bytes, &d);

    if (ok && w->out != NULL) {
        shape_json_double(w->out, d);
    }
    return ok;
}

static bool walk_bool(struct avro_walk *w)
{
    bool truth = false;
    bool ok = avro_bool(&w->bytes, &truth);

    if (ok && w->out != NULL) {
        shape_json_bool(w->out, truth);
    }
    return ok;
}

static bool walk_enum(struct avro_walk *w, const struct shape *s)
{
    uint32_t symbol;
    bool ok = avro_index(&w->bytes, "symbol", s->symbol_count, &symbol);

    if (ok && w->out != NULL) {
        shape_json_string(w->out, s->symbols[symbol]);
    }
    return ok;
}

/* ---- what has parts ---- */

static void put(struct avro_walk *w, char c)
{
    if (w->out != NULL) {
        buf_add_u8(w->out, (uint8_t) c);
    }
}

static bool walk_items(struct avro_walk *w, const struct shape *s)
{
    struct avro_block block = {0};
    bool is_map = s->kind == SHAPE_MAP;
    struct str key = {0};
    bool more;

    put(w, is_map ? '{' : '[');
    for (bool first = true;; first = false) {
        if (!avro_next(&w->bytes, &block, &more)) {
            return false;
        }
        if (!more) {
            break;
        }
        if (!first) {
            put(w, ',');
        }
        if (is_map) {
            if (!walk_text(w, &key)) {
                return false;
            }
            put(w, ':');
        }
        if (!avro_walk_value(w, s->element)) {
            return false;
        }
    }
    put(w, is_map ? '}' : ']');
    return true;
}

/* Debezium's decimal with a scale of its own, in the order in which it is always written. */
static bool is_scaled(const struct shape *s)
{
    return s->sense == SENSE_SCALED && s->field_count == 2 &&
           s->fields[0].shape->kind == SHAPE_INT32 && s->fields[1].shape->kind == SHAPE_BYTES;
}

static bool walk_scaled(struct avro_walk *w)
{
    int64_t scale;
    struct str bytes = {0};

    if (!avro_int(&w->bytes, &scale) || !avro_run(&w->bytes, &bytes)) {
        return false;
    }
    w->is_odd |= bytes.n > NUMBER_PLAIN_BYTES || scale > SCALE_PLAIN || scale < -SCALE_PLAIN;
    return shape_json_decimal(w->out, bytes, scale, w->bytes.err);
}

static bool walk_record(struct avro_walk *w, const struct shape *s)
{
    if (w->out != NULL && is_scaled(s)) {
        return walk_scaled(w);
    }
    put(w, '{');
    for (uint32_t i = 0; i < s->field_count; i++) {
        if (w->out != NULL) {
            buf_add_z(w->out, i > 0 ? "," : "");
            shape_json_string(w->out, s->fields[i].name);
            buf_add_u8(w->out, ':');
        }
        if (!avro_walk_value(w, s->fields[i].shape)) {
            return false;
        }
    }
    put(w, '}');
    return true;
}

static bool walk_parts(struct avro_walk *w, const struct shape *s)
{
    if (w->depth == AVRO_DEPTH_MAX) {
        return too_deep(w);
    }
    w->depth++;
    bool ok = s->kind == SHAPE_RECORD ? walk_record(w, s) : walk_items(w, s);
    w->depth--;
    return ok;
}

bool avro_walk_value(struct avro_walk *w, const struct shape *s)
{
    uint32_t branch;
    struct str bytes = {0};

    if (w->budget == 0 || (w->out != NULL && w->out->n > w->out_max)) {
        return too_much(w);
    }
    w->budget--;
    if (s->kind == SHAPE_UNION) {
        if (!avro_index(&w->bytes, "branch", s->branch_count, &branch)) {
            return false;
        }
        s = s->branches[branch]; /* which is no union */
    }
    switch (s->kind) {
    case SHAPE_NULL:
        if (w->out != NULL) {
            buf_add_z(w->out, "null");
        }
        return true;
    case SHAPE_BOOL:
        return walk_bool(w);
    case SHAPE_INT32:
    case SHAPE_INT64:
        return walk_int(w, s);
    case SHAPE_FLOAT:
        return walk_float(w);
    case SHAPE_DOUBLE:
        return walk_double(w);
    case SHAPE_STRING:
        return walk_text(w, &bytes);
    case SHAPE_BYTES:
        return avro_run(&w->bytes, &bytes) && put_bytes(w, s, bytes);
    case SHAPE_FIXED:
        return avro_take(&w->bytes, (size_t) s->length, "a fixed", &bytes) &&
               put_bytes(w, s, bytes);
    case SHAPE_ENUM:
        return walk_enum(w, s);
    case SHAPE_RECORD:
    case SHAPE_ARRAY:
    case SHAPE_MAP:
        return walk_parts(w, s);
    case SHAPE_UNION:
    case SHAPE_UINT32: /* from here on, none that an Avro schema has */
    case SHAPE_UINT64:
    case SHAPE_NUMBER:
    case SHAPE_ANY:
        break;
    }
    __builtin_unreachable();
}
