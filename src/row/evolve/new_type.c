/*
 * What a source says about its own column counts first, then the sense, then how the value is
 * written. Nothing is narrower than what the schema allows. Any thread.
 */
#include "row/evolve/new_type.h"

#include "row/text/ascii.h"

#include <assert.h>

enum { NUMERIC_PRECISION_MAX = 1000, LENGTH_MAX = 10485760, BITS_MAX = 83886080, DEPTH_MAX = 64 };

/* Connect's word for a precision that it does not know. */
enum { PRECISION_UNKNOWN = 64 };

static void print(const struct shape *s, int depth, struct buf *out);

static void print_numeric(int32_t precision, int32_t scale, struct buf *out)
{
    scale = scale == SHAPE_UNSAID ? 0 : scale;
    if (precision < 1 || precision > NUMERIC_PRECISION_MAX || precision == PRECISION_UNKNOWN ||
        scale < 0 || scale > precision) {
        buf_add_z(out, "numeric");
    } else {
        buf_printf(out, "numeric(%d,%d)", precision, scale);
    }
}

/* ---- what the source says ---- */

struct source_type {
    const char *word; /* in small letters */
    const char *type; /* NULL: it has a length */
    const char *sized;
};

static bool is_sized(int32_t length)
{
    return length >= 1 && length <= LENGTH_MAX;
}

/* A string that has a type of its own at its source; false: no word that says more than text. */
static bool print_source_string(const struct shape *s, struct buf *out)
{
    static const struct source_type types[] = {
        {"varchar", NULL, "varchar"},   {"character varying", NULL, "varchar"},
        {"nvarchar", NULL, "varchar"},  {"varchar2", NULL, "varchar"},
        {"nvarchar2", NULL, "varchar"}, {"char", NULL, "char"},
        {"character", NULL, "char"},    {"bpchar", NULL, "char"},
        {"nchar", NULL, "char"},        {"inet", "inet", NULL},
        {"cidr", "cidr", NULL},         {"macaddr", "macaddr", NULL},
        {"macaddr8", "macaddr8", NULL}, {"json", "json", NULL},
        {"jsonb", "jsonb", NULL},
    };

    for (size_t i = 0; s->source_type.p != NULL && i < ARRAY_LEN(types); i++) {
        if (!ascii_is_word(s->source_type, types[i].word)) {
            continue;
        }
        if (types[i].type != NULL) {
            buf_add_z(out, types[i].type);
            return true;
        }
        if (is_sized(s->source_length)) {
            buf_printf(out, "%s(%d)", types[i].sized, s->source_length);
            return true;
        }
    }
    return false;
}

/* ---- senses ---- */

/* At the source it has the most bits that fit, or exactly so many. */
static void print_bits(const struct shape *s, struct buf *out)
{
    bool is_varying = s->source_type.p != NULL && (ascii_is_word(s->source_type, "varbit") ||
                                                   ascii_is_word(s->source_type, "bit varying"));

    if (s->length < 1 || s->length > BITS_MAX) {
        buf_add_z(out, "bit varying");
    } else {
        buf_printf(out, is_varying ? "bit varying(%d)" : "bit(%d)", s->length);
    }
}

static const char *const of_sense[SENSE_COUNT] = {
    [SENSE_DATE] = "date",
    [SENSE_TIME] = "time",
    [SENSE_TIMESTAMP] = "timestamp",
    [SENSE_INSTANT] = "timestamptz",
    [SENSE_ZONED_TIME] = "timetz",
    [SENSE_DURATION] = "interval",
    [SENSE_YEAR] = "integer",
    [SENSE_SCALED] = "numeric",
    [SENSE_DECIMAL_TEXT] = "numeric",
    [SENSE_UUID] = "uuid",
    [SENSE_JSON] = "jsonb",
    [SENSE_XML] = "xml",
    [SENSE_LTREE] = "text", /* ltree is an extension */
    [SENSE_INET] = "inet",
    [SENSE_ENUM] = "text", /* a label more would take an ALTER TYPE */
    [SENSE_SET] = "text",
    [SENSE_POINT] = "jsonb", /* PostGIS is an extension, and a point has an SRID */
    [SENSE_GEOMETRY] = "jsonb",
    [SENSE_GEOGRAPHY] = "jsonb",
    [SENSE_DYNAMIC] = "jsonb",
    [SENSE_PACKED_ANY] = "jsonb",
    [SENSE_CALENDAR_DATE] = "date",
    [SENSE_TIME_OF_DAY] = "time",
    [SENSE_DECIMAL_RECORD] = "numeric",
    [SENSE_CONFLUENT_DECIMAL] = "numeric",
};

/* ---- how it is written ---- */

static const char *const of_kind[] = {
    [SHAPE_NULL] = "jsonb",     [SHAPE_BOOL] = "boolean",
    [SHAPE_INT32] = "integer",  [SHAPE_INT64] = "bigint",
    [SHAPE_UINT32] = "bigint",  [SHAPE_UINT64] = "numeric(20,0)",
    [SHAPE_FLOAT] = "real",     [SHAPE_DOUBLE] = "double precision",
    [SHAPE_NUMBER] = "numeric", [SHAPE_STRING] = "text",
    [SHAPE_BYTES] = "bytea",    [SHAPE_FIXED] = "bytea",
    [SHAPE_ENUM] = "text",      [SHAPE_RECORD] = "jsonb",
    [SHAPE_ARRAY] = "jsonb",    [SHAPE_MAP] = "jsonb",
    [SHAPE_UNION] = "jsonb",    [SHAPE_ANY] = "jsonb",
};

/* Its elements are one scalar each: an array of arrays may be ragged, which PostgreSQL's are not.
 */
static bool is_flat(const struct shape *array)
{
    enum shape_kind kind = shape_beyond_null(array->element, NULL)->kind;

    return kind != SHAPE_ARRAY;
}

static void print_array(const struct shape *s, int depth, struct buf *out)
{
    _cleanup_buf_ struct buf element = {0};

    if (is_flat(s)) {
        print(s->element, depth + 1, &element);
    }
    bool is_document = element.n == 0 || str_eq_z(buf_str(&element), "jsonb");
    buf_printf(out, "%s", is_document ? "jsonb" : buf_cstr(&element));
    buf_add_z(out, is_document ? "" : "[]");
}

/* A place in the order of numbers in which each holds those before it; -1: no number. */
static int rank_of(const struct shape *s)
{
    switch (s->sense == SENSE_NONE ? s->kind : SHAPE_ANY) {
    case SHAPE_INT32:
        return 0;
    case SHAPE_UINT32:
    case SHAPE_INT64:
        return 1;
    case SHAPE_FLOAT:
        return 2;
    case SHAPE_DOUBLE:
        return 3;
    case SHAPE_UINT64:
    case SHAPE_NUMBER:
        return 4;
    case SHAPE_NULL:
    case SHAPE_BOOL:
    case SHAPE_STRING:
    case SHAPE_BYTES:
    case SHAPE_FIXED:
    case SHAPE_ENUM:
    case SHAPE_RECORD:
    case SHAPE_ARRAY:
    case SHAPE_MAP:
    case SHAPE_UNION:
    case SHAPE_ANY:
        break;
    }
    return -1;
}

/* Numbers of several types: the widest; else a document, which says of each value what it is. */
static void print_union(const struct shape *s, struct buf *out)
{
    static const char *const widest[] = {"integer", "bigint", "real", "double precision",
                                         "numeric"};
    int most = -1;
    bool has_long = false;

    for (uint32_t i = 0; i < s->branch_count; i++) {
        if (s->branches[i]->kind == SHAPE_NULL) {
            continue;
        }
        int rank = rank_of(s->branches[i]);
        if (rank < 0) {
            buf_add_z(out, "jsonb");
            return;
        }
        has_long = has_long || rank <= 1;
        most = MAX(most, rank);
    }
    bool is_mixed = has_long && most >= 2; /* no float holds every whole number */
    buf_add_z(out, most < 0 ? "jsonb" : widest[is_mixed ? 4 : most]);
}

static void print_kind(const struct shape *s, int depth, struct buf *out)
{
    if (s->kind == SHAPE_INT32 && (s->bits == 8 || s->bits == 16)) {
        buf_add_z(out, "smallint");
    } else if (s->kind == SHAPE_ARRAY) {
        print_array(s, depth, out);
    } else if (s->kind == SHAPE_UNION) {
        print_union(s, out);
    } else if (s->kind != SHAPE_STRING || !print_source_string(s, out)) {
        buf_add_z(out, of_kind[s->kind]);
    }
}

static void print(const struct shape *s, int depth, struct buf *out)
{
    s = shape_beyond_null(s, NULL);
    if (depth > DEPTH_MAX) {
        buf_add_z(out, "jsonb");
    } else if (s->sense == SENSE_WRAPPER && s->field_count == 1) {
        print(s->fields[0].shape, depth + 1, out);
    } else if (s->sense == SENSE_DECIMAL) {
        print_numeric(s->precision == SHAPE_UNSAID ? s->source_length : s->precision, s->scale,
                      out);
    } else if (s->sense == SENSE_BITS) {
        print_bits(s, out);
    } else if (s->sense == SENSE_JSON && print_source_string(s, out)) {
        return;
    } else if (of_sense[s->sense] != NULL) {
        buf_add_z(out, of_sense[s->sense]);
    } else {
        print_kind(s, depth, out);
    }
}

void new_type_print(const struct shape *shape, struct buf *out)
{
    print(shape, 0, out);
}
