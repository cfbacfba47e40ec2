/* See avro_entry.h. */
#include "row/schema/avro_entry.h"

#include "row/json/elements.h"

/* The cells of the members that have these names; the others are passed over. */
static void gather(struct str object, const char *const *words, size_t n, struct cell *of,
                   struct arena *memory, struct buf *plain)
{
    struct elements e;
    struct str name;
    struct cell value;

    for (size_t i = 0; i < n; i++) {
        of[i] = (struct cell){.kind = CELL_ABSENT};
    }
    elements_open(&e, object, plain);
    while (elements_next(&e)) {
        elements_name(&e, &name);
        size_t word = 0;
        while (word < n && !str_eq_z(name, words[word])) {
            word++;
        }
        elements_value(&e, &value);
        if (word == n) {
            continue;
        }
        bool is_plain = value.kind == CELL_STRING && value.text.p != value.raw.p + 1;
        if (is_plain) {
            value.text = arena_copy(memory, value.text);
        }
        of[word] = value;
    }
}

void avro_entry_read(struct avro_entry *e, struct str object, struct arena *memory,
                     struct buf *plain)
{
    static const char *const words[] = {
        [AVRO_TYPE] = "type",
        [AVRO_NAME] = "name",
        [AVRO_NAMESPACE] = "namespace",
        [AVRO_FIELDS] = "fields",
        [AVRO_SYMBOLS] = "symbols",
        [AVRO_SIZE] = "size",
        [AVRO_ITEMS] = "items",
        [AVRO_VALUES] = "values",
        [AVRO_LOGICAL] = "logicalType",
        [AVRO_PRECISION] = "precision",
        [AVRO_SCALE] = "scale",
        [AVRO_CONNECT_NAME] = "connect.name",
        [AVRO_CONNECT_TYPE] = "connect.type",
        [AVRO_PARAMETERS] = "connect.parameters",
    };

    gather(object, words, AVRO_WORDS, e->of, memory, plain);
}

struct str avro_entry_text(const struct avro_entry *e, enum avro_word word)
{
    const struct cell *c = &e->of[word];

    return c->kind == CELL_STRING ? c->text : (struct str){0};
}

bool avro_entry_has_sense(const struct avro_entry *e)
{
    for (int i = AVRO_LOGICAL; i < AVRO_WORDS; i++) {
        if (e->of[i].kind != CELL_ABSENT) {
            return true;
        }
    }
    return false;
}

bool avro_whole(const struct cell *c, int32_t *out)
{
    int64_t n = 0;
    bool is_whole = c->kind == CELL_STRING ? str_to_i64(c->text, &n) : cell_is_whole(c);

    n = c->kind == CELL_STRING ? n : c->number;
    if (!is_whole || n < INT32_MIN || n > INT32_MAX) {
        return false;
    }
    *out = (int32_t) n;
    return true;
}

/* ---- parameters ---- */

/* Kafka Connect's `connect.parameters`: an object of strings. */
enum parameter {
    PARAMETER_SCALE,
    PARAMETER_PRECISION,
    PARAMETER_LENGTH,
    PARAMETER_SOURCE_TYPE,
    PARAMETER_SOURCE_LENGTH,
    PARAMETER_SOURCE_SCALE,
    PARAMETERS,
};

static void set_source(struct shape *shape, const struct cell *of, struct arena *memory)
{
    if (of[PARAMETER_SOURCE_TYPE].kind == CELL_STRING) {
        shape->source_type = arena_copy(memory, of[PARAMETER_SOURCE_TYPE].text);
    }
    avro_whole(&of[PARAMETER_SOURCE_LENGTH], &shape->source_length);
    avro_whole(&of[PARAMETER_SOURCE_SCALE], &shape->source_scale);
}

static void read_parameters(const struct avro_entry *e, struct cell *of, struct arena *memory,
                            struct buf *plain)
{
    static const char *const words[] = {
        [PARAMETER_SCALE] = "scale",
        [PARAMETER_PRECISION] = "connect.decimal.precision",
        [PARAMETER_LENGTH] = "length",
        [PARAMETER_SOURCE_TYPE] = "__debezium.source.column.type",
        [PARAMETER_SOURCE_LENGTH] = "__debezium.source.column.length",
        [PARAMETER_SOURCE_SCALE] = "__debezium.source.column.scale",
    };
    const struct cell *c = &e->of[AVRO_PARAMETERS];

    gather(cell_is_object(c) ? c->text : STR_LIT("{}"), words, PARAMETERS, of, memory, plain);
}

/* ---- senses ---- */

struct sense {
    enum shape_sense sense;
    enum time_unit unit;
};

/* Avro's own logical types. */
static struct sense sense_of_logical(struct str name)
{
    static const struct {
        const char *name;
        struct sense sense;
    } senses[] = {
        {"date", {SENSE_DATE, UNIT_DAY}},
        {"time-millis", {SENSE_TIME, UNIT_MS}},
        {"time-micros", {SENSE_TIME, UNIT_US}},
        {"timestamp-millis", {SENSE_INSTANT, UNIT_MS}},
        {"timestamp-micros", {SENSE_INSTANT, UNIT_US}},
        {"timestamp-nanos", {SENSE_INSTANT, UNIT_NS}},
        {"local-timestamp-millis", {SENSE_TIMESTAMP, UNIT_MS}},
        {"local-timestamp-micros", {SENSE_TIMESTAMP, UNIT_US}},
        {"local-timestamp-nanos", {SENSE_TIMESTAMP, UNIT_NS}},
        {"decimal", {SENSE_DECIMAL, UNIT_NONE}},
        {"uuid", {SENSE_UUID, UNIT_NONE}},
        {"duration", {SENSE_DURATION, UNIT_NONE}},
    };

    for (size_t i = 0; i < ARRAY_LEN(senses); i++) {
        if (str_eq_z(name, senses[i].name)) {
            return senses[i].sense;
        }
    }
    return (struct sense){0};
}

static bool is_number(const struct shape *s)
{
    return s->kind == SHAPE_INT32 || s->kind == SHAPE_INT64;
}

static bool is_bytes(const struct shape *s)
{
    return s->kind == SHAPE_BYTES || s->kind == SHAPE_FIXED;
}

/* Can a value of that kind have this sense? */
static bool fits(const struct shape *s, struct sense sense)
{
    bool is_string = s->kind == SHAPE_STRING;

    switch (sense.sense) {
    case SENSE_DATE:
    case SENSE_TIME:
    case SENSE_TIMESTAMP:
    case SENSE_INSTANT:
        return sense.unit != UNIT_NONE ? is_number(s) : is_string;
    case SENSE_DURATION:
        return sense.unit != UNIT_NONE ? is_number(s)
                                       : is_string || (s->kind == SHAPE_FIXED && s->length == 12);
    case SENSE_YEAR:
        return is_number(s);
    case SENSE_DECIMAL:
    case SENSE_BITS:
        return is_bytes(s);
    case SENSE_UUID:
        return is_string || (s->kind == SHAPE_FIXED && s->length == 16);
    case SENSE_SCALED:
    case SENSE_POINT:
    case SENSE_GEOMETRY:
    case SENSE_GEOGRAPHY:
        return s->kind == SHAPE_RECORD;
    case SENSE_ZONED_TIME:
    case SENSE_DECIMAL_TEXT:
    case SENSE_JSON:
    case SENSE_XML:
    case SENSE_LTREE:
    case SENSE_INET:
    case SENSE_ENUM:
    case SENSE_SET:
        return is_string;
    case SENSE_NONE:
    case SENSE_WRAPPER: /* from here on Protobuf's, which have no names here */
    case SENSE_DYNAMIC:
    case SENSE_PACKED_ANY:
    case SENSE_CALENDAR_DATE:
    case SENSE_TIME_OF_DAY:
    case SENSE_DECIMAL_RECORD:
    case SENSE_CONFLUENT_DECIMAL:
    case SENSE_COUNT:
        break;
    }
    return false;
}

/* Avro's own logical types that count something are each of one type; of another one they mean
 * nothing. */
static bool sits(const struct shape *s, struct sense logical)
{
    bool is_int = logical.unit == UNIT_DAY ||
                  (logical.sense == SENSE_TIME && logical.unit == UNIT_MS);

    return logical.unit == UNIT_NONE || s->kind == (is_int ? SHAPE_INT32 : SHAPE_INT64);
}

static void set_decimal(const struct avro_entry *e, const struct cell *parameters,
                        struct shape *shape)
{
    if (!avro_whole(&e->of[AVRO_SCALE], &shape->scale) &&
        !avro_whole(&parameters[PARAMETER_SCALE], &shape->scale)) {
        shape->scale = 0;
    }
    if ((!avro_whole(&e->of[AVRO_PRECISION], &shape->precision) &&
         !avro_whole(&parameters[PARAMETER_PRECISION], &shape->precision)) ||
        shape->precision <= 0) {
        shape->precision = SHAPE_UNSAID;
    }
}

static void set_sense(const struct avro_entry *e, const struct cell *parameters,
                      struct shape *shape, struct arena *memory)
{
    struct str connect = avro_entry_text(e, AVRO_CONNECT_NAME);
    struct str logical = avro_entry_text(e, AVRO_LOGICAL);
    struct sense sense;

    sense.sense = shape_sense_of_connect(connect, &sense.unit);
    shape->logical = connect;
    if (!fits(shape, sense)) {
        sense = sense_of_logical(logical);
        bool means = fits(shape, sense) && sits(shape, sense);
        sense = means ? sense : (struct sense){0};
        shape->logical = means || connect.p == NULL ? logical : connect;
    }
    shape->logical = arena_copy(memory, shape->logical);
    shape->sense = sense.sense;
    shape->unit = sense.unit;
    if (sense.sense == SENSE_DECIMAL) {
        set_decimal(e, parameters, shape);
    }
    if (sense.sense == SENSE_BITS && shape->kind == SHAPE_BYTES &&
        !avro_whole(&parameters[PARAMETER_LENGTH], &shape->length)) {
        shape->length = 0;
    }
}

void avro_entry_apply(const struct avro_entry *e, struct shape *shape, struct arena *memory,
                      struct buf *plain)
{
    struct cell parameters[PARAMETERS];
    struct str type = avro_entry_text(e, AVRO_CONNECT_TYPE);

    read_parameters(e, parameters, memory, plain);
    set_source(shape, parameters, memory);
    set_sense(e, parameters, shape, memory);
    if (is_number(shape)) {
        shape->bits = str_eq_z(type, "int8") ? 8 : str_eq_z(type, "int16") ? 16 : 0;
    }
}
