/* The tables: which logical type a name in a schema, or the type of a column, stands for. Main and
 * worker threads. */
#include "row/schema/logical.h"

#include "base/mem.h"
#include "row/json/elements.h"

#include <stdlib.h>
#include <string.h>

void logical_done(struct logical *l)
{
    if (l->element != NULL) {
        logical_done(l->element);
        free(l->element);
    }
    *l = (struct logical){0};
}

/* ---- what a column can take ---- */

/* bit(n) or bit varying. */
static bool is_bits(const struct column *c)
{
    return c->type == TYPE_OTHER && strncmp(c->type_name, "bit", 3) == 0;
}

static bool is_varying(const struct column *c)
{
    return is_bits(c) && strncmp(c->type_name, "bit varying", 11) == 0;
}

static bool is_point(const struct column *c)
{
    return c->type == TYPE_OTHER && strcmp(c->type_name, "point") == 0;
}

/* Would the column store the plain JSON value in another way than this one? */
static bool suits(enum logical_kind kind, const struct column *c)
{
    switch (kind) {
    case LOGICAL_DAYS:
    case LOGICAL_INSTANT:
        return c->type == TYPE_DATE || column_type_is_timestamp(c->type);
    case LOGICAL_DECIMAL:
    case LOGICAL_BITS:
        return c->type != TYPE_BYTEA;
    case LOGICAL_SCALED:
    case LOGICAL_ARRAY:
        return !column_type_is_json(c->type);
    case LOGICAL_JSON:
        return column_type_is_json(c->type);
    case LOGICAL_OBJECT:
        return c->type == TYPE_HSTORE;
    case LOGICAL_POINT:
        return is_point(c);
    case LOGICAL_TEXT:
        return c->type == TYPE_OTHER || c->type == TYPE_COMPOSITE;
    case LOGICAL_GEOMETRY:
        return c->type == TYPE_OTHER;
    case LOGICAL_PLAIN:
        break;
    }
    return true;
}

/* ---- by schema ---- */

struct logical_name {
    const char *name;
    enum logical_kind kind;
    enum time_unit unit;
};

/* A name may be listed twice: the first row that suits the column counts. */
static const struct logical_name named[] = {
    {"io.debezium.time.Date", LOGICAL_DAYS, UNIT_NONE},
    {"io.debezium.time.Time", LOGICAL_PLAIN, UNIT_MS},
    {"io.debezium.time.MicroTime", LOGICAL_PLAIN, UNIT_US},
    {"io.debezium.time.NanoTime", LOGICAL_PLAIN, UNIT_NS},
    {"io.debezium.time.Timestamp", LOGICAL_INSTANT, UNIT_MS},
    {"io.debezium.time.MicroTimestamp", LOGICAL_INSTANT, UNIT_US},
    {"io.debezium.time.NanoTimestamp", LOGICAL_INSTANT, UNIT_NS},
    {"io.debezium.time.IsoTimestamp", LOGICAL_INSTANT, UNIT_NONE},
    {"io.debezium.time.MicroDuration", LOGICAL_PLAIN, UNIT_US},
    {"io.debezium.time.NanoDuration", LOGICAL_PLAIN, UNIT_NS},
    {"org.apache.kafka.connect.data.Date", LOGICAL_DAYS, UNIT_NONE},
    {"org.apache.kafka.connect.data.Time", LOGICAL_PLAIN, UNIT_MS},
    {"org.apache.kafka.connect.data.Timestamp", LOGICAL_INSTANT, UNIT_MS},
    {"org.apache.kafka.connect.data.Decimal", LOGICAL_DECIMAL, UNIT_NONE},
    {"io.debezium.data.VariableScaleDecimal", LOGICAL_SCALED, UNIT_NONE},
    {"io.debezium.data.Bits", LOGICAL_BITS, UNIT_NONE},
    {"io.debezium.data.Json", LOGICAL_JSON, UNIT_NONE},
    {"io.debezium.data.Json", LOGICAL_OBJECT, UNIT_NONE},
    {"io.debezium.data.geometry.Point", LOGICAL_POINT, UNIT_NONE},
    {"io.debezium.data.geometry.Point", LOGICAL_GEOMETRY, UNIT_NONE},
    {"io.debezium.data.geometry.Geometry", LOGICAL_GEOMETRY, UNIT_NONE},
    {"io.debezium.data.geometry.Geography", LOGICAL_GEOMETRY, UNIT_NONE},
};

static const struct logical_name *named_for(struct str name, const struct column *c)
{
    for (size_t i = 0; i < ARRAY_LEN(named); i++) {
        if (str_eq_z(name, named[i].name) && suits(named[i].kind, c)) {
            return &named[i];
        }
    }
    return NULL;
}

/* An entry of a schema: the text of a JSON object, and scratch memory for its strings. */
struct schema_entry {
    struct str text;
    struct buf *plain;
};

/* The string of that name, borrowed until the next one is asked for; absent if it is not a string.
 */
static struct str text_at(const struct schema_entry *e, const char *name)
{
    struct cell c;
    bool is_text = elements_find(e->text, name, e->plain, &c) && c.kind == CELL_STRING;

    return is_text ? c.text : (struct str){0};
}

/* The object of that name; false if there is none. */
static bool object_at(const struct schema_entry *e, const char *name, struct schema_entry *out)
{
    struct cell c;
    bool is_object = elements_find(e->text, name, e->plain, &c) && cell_is_object(&c);

    *out = (struct schema_entry){.text = c.text, .plain = e->plain};
    return is_object;
}

/* A parameter, which is a number written as a string; 0 when it is missing or not a number. */
static int32_t parameter(const struct schema_entry *e, const char *name)
{
    struct schema_entry parameters;
    int64_t n = 0;

    if (!object_at(e, "parameters", &parameters)) {
        return 0;
    }
    bool is_number = str_to_i64(text_at(&parameters, name), &n);
    return is_number && n >= INT32_MIN && n <= INT32_MAX ? (int32_t) n : 0;
}

static void read_entry(const struct schema_entry *e, const struct column *c, struct logical *out);

static void read_array(const struct schema_entry *e, const struct column *c, struct logical *out)
{
    struct schema_entry items;

    if (c->element != NULL && object_at(e, "items", &items)) {
        out->kind = LOGICAL_ARRAY;
        out->element = mem_zalloc(sizeof *out->element);
        read_entry(&items, c->element, out->element);
    }
}

/* An entry without a name: its type says it. */
static void read_type(const struct schema_entry *e, const struct column *c, struct logical *out)
{
    struct str type = text_at(e, "type");

    if (str_eq_z(type, "boolean") && is_bits(c)) {
        out->kind = LOGICAL_BITS;
    } else if (str_eq_z(type, "bytes") && suits(LOGICAL_TEXT, c)) {
        out->kind = LOGICAL_TEXT;
    } else if (str_eq_z(type, "array")) {
        read_array(e, c, out);
    }
}

static void read_entry(const struct schema_entry *e, const struct column *c, struct logical *out)
{
    struct str name = text_at(e, "name");
    const struct logical_name *found = name.p != NULL ? named_for(name, c) : NULL;

    *out = (struct logical){.kind = LOGICAL_PLAIN};
    if (found != NULL) {
        out->kind = found->kind;
        out->unit = found->unit;
        out->scale = parameter(e, "scale");
        out->length = is_varying(c) ? 0 : parameter(e, "length"); /* there it is the maximum */
    } else if (name.p == NULL) {
        read_type(e, c, out);
    }
}

void logical_of_schema(struct str entry, const struct column *c, struct logical *out)
{
    _cleanup_buf_ struct buf plain = {0};
    struct schema_entry e = {.text = entry, .plain = &plain};

    read_entry(&e, c, out);
}

/* ---- by column ---- */

static enum time_unit unit_of(const struct column *c, enum time_precision precision)
{
    switch (precision) {
    case PRECISION_CONNECT:
        return UNIT_MS;
    case PRECISION_MICROSECONDS:
        return UNIT_US;
    case PRECISION_NANOSECONDS:
        return UNIT_NS;
    case PRECISION_ADAPTIVE_TIME_MICROSECONDS:
        if (c->type == TYPE_TIME) {
            return UNIT_US;
        }
        break;
    case PRECISION_ADAPTIVE:
        break;
    }
    return c->typmod >= 0 && c->typmod <= 3 ? UNIT_MS : UNIT_US;
}

static void other_of_column(const struct column *c, struct logical *out)
{
    if (is_bits(c)) {
        out->kind = LOGICAL_BITS;
        out->length = is_varying(c) ? 0 : MAX(c->typmod, 1);
    } else {
        out->kind = is_point(c) ? LOGICAL_POINT : LOGICAL_GEOMETRY;
    }
}

void logical_of_column(const struct column *c, enum time_precision precision, struct logical *out)
{
    static const enum logical_kind kinds[] = {
#define COLUMN_TYPE(tag, name, oid, array_oid, kind, family, wire, storage, equality, encoder,     \
                    logical)                                                                       \
    [TYPE_##tag] = LOGICAL_##logical,
#include "row/table/types.def"
    };

    *out = (struct logical){.kind = kinds[c->type]};
    if (c->type == TYPE_OTHER) {
        other_of_column(c, out);
    } else if (c->type == TYPE_TIME || column_type_is_timestamp(c->type)) {
        out->unit = unit_of(c, precision);
    } else if (c->type == TYPE_INTERVAL) {
        out->unit = UNIT_US;
    } else if (c->type == TYPE_ARRAY) {
        out->element = mem_zalloc(sizeof *out->element);
        logical_of_column(c->element, precision, out->element);
    }
}
