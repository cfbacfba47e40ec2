/*
 * What a value means by the shape that it was written with. The senses are the writer's; the column
 * decides what becomes of them. Any thread.
 */
#include "base/mem.h"
#include "row/schema/logical_fit.h"
#include "row/schema/shape.h"

/* Arrays of arrays, wrappers of wrappers: deeper than any table, for shapes may be circular. */
enum { DEPTH_MAX = 64 };

static void put(enum logical_kind kind, enum time_unit unit, struct logical *out)
{
    out->kind = kind;
    out->unit = unit;
}

/* A count that the column does not take as one is text for it, unless it is a number to it too. */
static void put_iso(const struct shape *s, enum iso_form form, const struct column *c,
                    struct logical *out)
{
    bool is_count = s->unit != UNIT_NONE || form == ISO_DATE;

    if (is_count && logical_suits(LOGICAL_ISO, c)) {
        put(LOGICAL_ISO, form == ISO_DATE ? UNIT_DAY : s->unit, out);
        out->form = form;
    }
}

/* A date, or a point in time. */
static void moment_of(const struct shape *s, const struct column *c, struct logical *out)
{
    bool is_date = s->sense == SENSE_DATE;
    enum logical_kind kind = is_date ? LOGICAL_DAYS : LOGICAL_INSTANT;

    if (logical_suits(kind, c)) {
        put(kind, is_date ? UNIT_NONE : s->unit, out);
    } else {
        put_iso(s,
                is_date                       ? ISO_DATE
                : s->sense == SENSE_TIMESTAMP ? ISO_TIMESTAMP
                                              : ISO_INSTANT,
                c, out);
    }
}

/* A time of day may be a span too: MySQL's TIME. */
static void span_of(const struct shape *s, const struct column *c, struct logical *out)
{
    bool is_time = s->sense == SENSE_TIME;

    if (s->kind == SHAPE_FIXED) {
        put(logical_suits(LOGICAL_DURATION, c) ? LOGICAL_DURATION : LOGICAL_PLAIN, UNIT_NONE, out);
    } else if (is_time && s->unit == UNIT_NONE && logical_suits(LOGICAL_SPAN, c)) {
        put(LOGICAL_SPAN, UNIT_NONE, out);
    } else if (column_type_family(c->type) == FAMILY_SPAN) {
        put(LOGICAL_PLAIN, s->unit, out);
    } else {
        put_iso(s, is_time ? ISO_TIME : ISO_SPAN, c, out);
    }
}

static void put_if(enum logical_kind kind, const struct column *c, struct logical *out)
{
    if (logical_suits(kind, c)) {
        out->kind = kind;
    }
}

static void read_shape(const struct shape *s, const struct column *c,
                       const struct logical_rules *rules, int depth, struct logical *out);

/* Dimensions of an array are arrays of arrays to a schema, and one type to a column. */
static void array_of(const struct shape *s, const struct column *c,
                     const struct logical_rules *rules, int depth, struct logical *out)
{
    const struct shape *of = shape_beyond_null(s->element, NULL);

    if (c->element == NULL) {
        return;
    }
    for (; of->kind == SHAPE_ARRAY && !column_type_is_json(c->element->type); depth++) {
        if (depth >= DEPTH_MAX) {
            return;
        }
        of = shape_beyond_null(of->element, NULL);
    }
    out->kind = LOGICAL_ARRAY;
    out->element = mem_zalloc(sizeof *out->element);
    read_shape(of, c->element, rules, depth + 1, out->element);
}

/* A shape without a sense: how it is written says it. */
static void kind_of(const struct shape *s, const struct column *c,
                    const struct logical_rules *rules, int depth, struct logical *out)
{
    switch (s->kind) {
    case SHAPE_BOOL:
        if (logical_is_bits(c)) {
            logical_bits_into(c, 1, out);
        }
        break;
    case SHAPE_BYTES:
    case SHAPE_FIXED:
        if (logical_suits(LOGICAL_TEXT, c) || c->type == TYPE_BYTEA) {
            out->kind = LOGICAL_TEXT;
        }
        break;
    case SHAPE_STRING:
        logical_of_string(c, rules, out);
        break;
    case SHAPE_ARRAY:
        array_of(s, c, rules, depth, out);
        break;
    case SHAPE_NULL:
    case SHAPE_INT32:
    case SHAPE_INT64:
    case SHAPE_UINT32:
    case SHAPE_UINT64:
    case SHAPE_FLOAT:
    case SHAPE_DOUBLE:
    case SHAPE_NUMBER:
    case SHAPE_ENUM:
    case SHAPE_RECORD:
    case SHAPE_MAP:
    case SHAPE_UNION:
    case SHAPE_ANY:
        break;
    }
}

static void sense_of(const struct shape *s, const struct column *c, struct logical *out)
{
    switch (s->sense) {
    case SENSE_DATE:
    case SENSE_TIMESTAMP:
    case SENSE_INSTANT:
        moment_of(s, c, out);
        break;
    case SENSE_TIME:
    case SENSE_DURATION:
        span_of(s, c, out);
        break;
    case SENSE_YEAR:
        put_if(LOGICAL_YEAR, c, out);
        break;
    case SENSE_DECIMAL:
        put_if(LOGICAL_DECIMAL, c, out);
        out->scale = s->scale == SHAPE_UNSAID ? 0 : s->scale;
        break;
    case SENSE_SCALED:
        put_if(LOGICAL_SCALED, c, out);
        break;
    case SENSE_UUID:
        if (s->kind != SHAPE_STRING) {
            put_if(LOGICAL_UUID, c, out);
        }
        break;
    case SENSE_JSON:
        put_if(LOGICAL_OBJECT, c, out);
        put_if(LOGICAL_JSON, c, out);
        break;
    case SENSE_BITS:
        logical_bits_into(c, s->length == SHAPE_UNSAID ? 0 : s->length, out);
        break;
    case SENSE_SET:
        put_if(LOGICAL_SET, c, out);
        break;
    case SENSE_POINT:
        put_if(LOGICAL_GEOMETRY, c, out);
        put_if(LOGICAL_POINT, c, out);
        break;
    case SENSE_GEOMETRY:
    case SENSE_GEOGRAPHY:
        put_if(LOGICAL_GEOMETRY, c, out);
        break;
    case SENSE_NONE:
    case SENSE_ZONED_TIME:
    case SENSE_DECIMAL_TEXT:
    case SENSE_XML:
    case SENSE_LTREE:
    case SENSE_INET:
    case SENSE_ENUM:
    case SENSE_WRAPPER:
    case SENSE_DYNAMIC:
    case SENSE_PACKED_ANY:
    case SENSE_CALENDAR_DATE:
    case SENSE_TIME_OF_DAY:
    case SENSE_DECIMAL_RECORD:
    case SENSE_CONFLUENT_DECIMAL:
    case SENSE_COUNT:
        break;
    }
}

static void read_shape(const struct shape *s, const struct column *c,
                       const struct logical_rules *rules, int depth, struct logical *out)
{
    *out = (struct logical){.kind = LOGICAL_PLAIN};
    s = shape_beyond_null(s, NULL);
    for (; s->sense == SENSE_WRAPPER && s->field_count == 1 && depth < DEPTH_MAX; depth++) {
        s = shape_beyond_null(s->fields[0].shape, NULL);
    }
    if (s->sense == SENSE_NONE) {
        kind_of(s, c, rules, depth, out);
    } else {
        sense_of(s, c, out);
    }
}

void logical_of_shape(const struct shape *shape, const struct column *c,
                      const struct logical_rules *rules, struct logical *out)
{
    read_shape(shape, c, rules, 0, out);
}
