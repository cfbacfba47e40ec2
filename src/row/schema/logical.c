/* The tables: which logical type a name in a schema, or the type of a column, stands for. Main and
 * worker threads. */
#include "row/schema/logical.h"

#include "base/mem.h"
#include "row/json/elements.h"
#include "row/schema/logical_fit.h"

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
    {"io.debezium.time.IsoTime", LOGICAL_SPAN, UNIT_NONE},
    {"io.debezium.time.Year", LOGICAL_YEAR, UNIT_NONE},
    {"io.debezium.time.MicroDuration", LOGICAL_PLAIN, UNIT_US},
    {"io.debezium.time.NanoDuration", LOGICAL_PLAIN, UNIT_NS},
    {"org.apache.kafka.connect.data.Date", LOGICAL_DAYS, UNIT_NONE},
    {"org.apache.kafka.connect.data.Time", LOGICAL_PLAIN, UNIT_MS},
    {"org.apache.kafka.connect.data.Timestamp", LOGICAL_INSTANT, UNIT_MS},
    {"org.apache.kafka.connect.data.Decimal", LOGICAL_DECIMAL, UNIT_NONE},
    {"io.debezium.data.VariableScaleDecimal", LOGICAL_SCALED, UNIT_NONE},
    {"io.debezium.data.Bits", LOGICAL_BITS, UNIT_NONE},
    {"io.debezium.data.EnumSet", LOGICAL_SET, UNIT_NONE},
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
        if (str_eq_z(name, named[i].name) && logical_suits(named[i].kind, c)) {
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

static void read_entry(const struct schema_entry *e, const struct column *c,
                       const struct logical_rules *rules, struct logical *out);

static void read_array(const struct schema_entry *e, const struct column *c,
                       const struct logical_rules *rules, struct logical *out)
{
    struct schema_entry items;

    if (c->element != NULL && object_at(e, "items", &items)) {
        out->kind = LOGICAL_ARRAY;
        out->element = mem_zalloc(sizeof *out->element);
        read_entry(&items, c->element, rules, out->element);
    }
}

/* An entry without a name that is known: its type says it. */
static void read_type(const struct schema_entry *e, const struct column *c,
                      const struct logical_rules *rules, struct logical *out)
{
    struct str type = text_at(e, "type");

    if (str_eq_z(type, "boolean") && logical_is_bits(c)) {
        logical_bits_into(c, 1, out);
    } else if (str_eq_z(type, "bytes") &&
               (logical_suits(LOGICAL_TEXT, c) || c->type == TYPE_BYTEA)) {
        out->kind = LOGICAL_TEXT;
    } else if (str_eq_z(type, "array")) {
        read_array(e, c, rules, out);
    } else if (str_eq_z(type, "string")) {
        logical_of_string(c, rules, out);
    }
}

static void read_entry(const struct schema_entry *e, const struct column *c,
                       const struct logical_rules *rules, struct logical *out)
{
    struct str name = text_at(e, "name");
    const struct logical_name *found = name.p != NULL ? named_for(name, c) : NULL;

    *out = (struct logical){.kind = LOGICAL_PLAIN};
    if (found == NULL) {
        read_type(e, c, rules, out);
        return;
    }
    out->kind = found->kind;
    out->unit = found->unit;
    out->scale = parameter(e, "scale");
    if (found->kind == LOGICAL_BITS) {
        logical_bits_into(c, parameter(e, "length"), out);
    }
}

void logical_of_schema(struct str entry, const struct column *c, const struct logical_rules *rules,
                       struct logical *out)
{
    _cleanup_buf_ struct buf plain = {0};
    struct schema_entry e = {.text = entry, .plain = &plain};

    read_entry(&e, c, rules, out);
}

/* ---- by column ---- */

enum connector logical_connector(struct str name)
{
    if (str_eq_z(name, "postgresql")) {
        return CONNECTOR_POSTGRESQL;
    }
    if (str_eq_z(name, "mysql") || str_eq_z(name, "mariadb")) {
        return CONNECTOR_MYSQL;
    }
    return name.p == NULL ? CONNECTOR_UNKNOWN : CONNECTOR_OTHER;
}

/* The precision of the column is that of the source; the connectors of others than PostgreSQL have
 * another one where none is written down. */
static enum time_unit adaptive_unit(const struct column *c, enum connector connector)
{
    if (c->typmod < 0) {
        return connector == CONNECTOR_POSTGRESQL ? UNIT_US : UNIT_NONE;
    }
    return c->typmod <= 3 ? UNIT_MS : UNIT_US;
}

/* What a number in a column of times counts; UNIT_NONE: nobody has said it. */
static enum time_unit unit_of(const struct column *c, enum time_precision precision,
                              enum connector connector)
{
    bool ours = connector == CONNECTOR_POSTGRESQL;

    if (precision == PRECISION_AUTO && !ours) {
        return UNIT_NONE;
    }
    if (c->type == TYPE_INTERVAL && ours) {
        return UNIT_US; /* whatever its time.precision.mode is */
    }
    switch (precision) {
    case PRECISION_CONNECT:
        return UNIT_MS;
    case PRECISION_MICROSECONDS:
        return UNIT_US;
    case PRECISION_NANOSECONDS:
        return UNIT_NS;
    case PRECISION_AUTO:
    case PRECISION_ADAPTIVE:
    case PRECISION_ADAPTIVE_TIME_MICROSECONDS:
        break;
    }
    /* MySQL's connector knows no other adaptive mode than that of times in microseconds. */
    bool is_span = c->type == TYPE_INTERVAL ||
                   (c->type == TYPE_TIME && (precision == PRECISION_ADAPTIVE_TIME_MICROSECONDS ||
                                             connector == CONNECTOR_MYSQL));
    return is_span ? UNIT_US : adaptive_unit(c, connector);
}

/* Only PostgreSQL has years after 9999, and only MySQL a type for years. */
static void time_of_column(const struct column *c, const struct logical_rules *rules,
                           enum connector connector, struct logical *out)
{
    bool is_said = rules->precision != PRECISION_AUTO || connector == CONNECTOR_POSTGRESQL;

    out->is_recent = connector != CONNECTOR_POSTGRESQL;
    if (c->type != TYPE_DATE) {
        out->unit = unit_of(c, rules->precision, connector);
    } else if (is_said) {
        out->is_year = connector == CONNECTOR_UNKNOWN || connector == CONNECTOR_MYSQL;
    } else {
        out->kind = LOGICAL_PLAIN; /* a number could be anything */
    }
}

/* Base64 in a column of integers may be a decimal, or bits, which begin with the lowest byte. */
static int32_t scale_of(const struct column *c)
{
    bool has_scale = c->type == TYPE_NUMERIC && column_numeric_is_limited(c);

    return has_scale ? column_numeric_scale(c) : SCALE_UNKNOWN;
}

static void other_of_column(const struct column *c, struct logical *out)
{
    if (logical_is_bits(c)) {
        logical_bits_into(c, 0, out);
    } else {
        out->kind = logical_is_point(c) ? LOGICAL_POINT : LOGICAL_GEOMETRY;
    }
}

static void array_of_column(const struct column *c, const struct logical_rules *rules,
                            enum connector connector, struct logical *out)
{
    if (connector == CONNECTOR_MYSQL && logical_is_set(c)) {
        out->kind = LOGICAL_SET;
    }
    out->element = mem_zalloc(sizeof *out->element);
    logical_of_column(c->element, rules, connector, out->element);
}

void logical_of_column(const struct column *c, const struct logical_rules *rules,
                       enum connector connector, struct logical *out)
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
    } else if (column_type_is_time(c->type)) {
        time_of_column(c, rules, connector, out);
    } else if (out->kind == LOGICAL_SCALED) {
        out->texts = rules->texts;
        out->scale = scale_of(c);
        out->has_infinity = c->type == TYPE_FLOAT4 || c->type == TYPE_FLOAT8;
    } else if (out->kind == LOGICAL_BINARY && !rules->guesses_bytes) {
        out->kind = LOGICAL_PLAIN;
    } else if (c->type == TYPE_ARRAY) {
        array_of_column(c, rules, connector, out);
    }
}

/* ---- for people ---- */

static const char *unit_word(const struct logical *l)
{
    static const char *const words[] = {
        [UNIT_NONE] = "rejected", [UNIT_S] = "s",   [UNIT_MS] = "ms",
        [UNIT_US] = "us",         [UNIT_NS] = "ns", [UNIT_DAY] = "days",
    };

    return l->kind == LOGICAL_DAYS ? words[UNIT_DAY] : words[l->unit];
}

void logical_describe_units(const struct logical *const *of, struct buf *out)
{
    static const char *const names[] = {
        [CONNECTOR_POSTGRESQL] = "postgresql",
        [CONNECTOR_MYSQL] = "mysql",
    };
    const char *other = unit_word(of[CONNECTOR_OTHER]);
    bool differs = false;

    for (int i = CONNECTOR_POSTGRESQL; i <= CONNECTOR_MYSQL; i++) {
        const char *word = unit_word(of[i]);
        if (strcmp(word, other) != 0) {
            buf_printf(out, "%s from %s, ", word, names[i]);
            differs = true;
        }
    }
    buf_printf(out, "%s%s", differs ? "else " : "", other);
}
