/* The graph of a schema: its memory, its references, what is asked of it. */
#include "row/schema/shape.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

struct schema {
    enum schema_language language;
    struct arena memory;
    const struct shape **roots;
    size_t root_count;
    size_t shape_count;
    bool is_sealed;
    uint32_t holders; /* atomic */
};

const char *schema_language_name(enum schema_language l)
{
    static const char *const names[] = {
        [SCHEMA_AVRO] = "AVRO",
        [SCHEMA_PROTOBUF] = "PROTOBUF",
        [SCHEMA_JSON] = "JSON",
        [SCHEMA_CONNECT] = "CONNECT",
    };

    return names[l];
}

struct schema *schema_new(enum schema_language language)
{
    struct schema *s = mem_zalloc(sizeof *s);

    s->language = language;
    s->holders = 1;
    return s;
}

struct shape *schema_add(struct schema *s, enum shape_kind kind)
{
    assert(!s->is_sealed);
    struct shape *shape = arena_alloc(&s->memory, sizeof *shape);

    *shape = (struct shape){
        .kind = kind,
        .precision = SHAPE_UNSAID,
        .length = SHAPE_UNSAID,
        .source_length = SHAPE_UNSAID,
        .source_scale = SHAPE_UNSAID,
        .serial = (uint32_t) s->shape_count++,
    };
    return shape;
}

struct arena *schema_memory(struct schema *s)
{
    assert(!s->is_sealed);
    return &s->memory;
}

void schema_add_root(struct schema *s, const struct shape *root)
{
    assert(!s->is_sealed);
    s->roots = mem_realloc(s->roots, s->root_count + 1, sizeof *s->roots);
    s->roots[s->root_count++] = root;
}

void schema_seal(struct schema *s)
{
    s->is_sealed = true;
}

/* Counting holders is all that ever changes in a sealed schema, and nobody sees it. */
static struct schema *counted(const struct schema *s)
{
    return (struct schema *) (uintptr_t) s;
}

const struct schema *schema_hold(const struct schema *s)
{
    __atomic_fetch_add(&counted(s)->holders, 1, __ATOMIC_RELAXED);
    return s;
}

const struct schema *schema_drop(const struct schema *s)
{
    if (s == NULL) {
        return NULL;
    }
    struct schema *mine = counted(s);
    if (__atomic_fetch_sub(&mine->holders, 1, __ATOMIC_ACQ_REL) == 1) {
        arena_done(&mine->memory);
        free(mine->roots);
        free(mine);
    }
    return NULL;
}

enum schema_language schema_language(const struct schema *s)
{
    return s->language;
}

size_t schema_root_count(const struct schema *s)
{
    return s->root_count;
}

const struct shape *schema_root(const struct schema *s, size_t i)
{
    return s->roots[i];
}

size_t schema_shape_count(const struct schema *s)
{
    return s->shape_count;
}

size_t schema_bytes(const struct schema *s)
{
    return sizeof *s + s->memory.used + s->root_count * sizeof(struct shape *);
}

const struct shape *shape_beyond_null(const struct shape *s, bool *out_nullable)
{
    bool nullable = s->kind == SHAPE_NULL;

    if (s->kind == SHAPE_UNION && s->branch_count == 2) {
        bool first = s->branches[0]->kind == SHAPE_NULL;
        bool second = s->branches[1]->kind == SHAPE_NULL;
        if (first != second) {
            s = s->branches[first ? 1 : 0];
            nullable = true;
        }
    }
    if (out_nullable != NULL) {
        *out_nullable = nullable;
    }
    return s;
}

const struct shape_field *shape_field_of(const struct shape *s, struct str name)
{
    for (uint32_t i = 0; i < s->field_count; i++) {
        if (str_eq(s->fields[i].name, name)) {
            return &s->fields[i];
        }
    }
    return NULL;
}

enum shape_sense shape_sense_of_connect(struct str name, enum time_unit *out_unit)
{
    static const struct {
        const char *name;
        enum shape_sense sense;
        enum time_unit unit;
    } senses[] = {
        {"io.debezium.time.Date", SENSE_DATE, UNIT_DAY},
        {"io.debezium.time.Time", SENSE_TIME, UNIT_MS},
        {"io.debezium.time.MicroTime", SENSE_TIME, UNIT_US},
        {"io.debezium.time.NanoTime", SENSE_TIME, UNIT_NS},
        {"io.debezium.time.IsoDate", SENSE_DATE, UNIT_NONE},
        {"io.debezium.time.IsoTime", SENSE_TIME, UNIT_NONE},
        {"io.debezium.time.IsoTimestamp", SENSE_TIMESTAMP, UNIT_NONE},
        {"io.debezium.time.Timestamp", SENSE_TIMESTAMP, UNIT_MS},
        {"io.debezium.time.MicroTimestamp", SENSE_TIMESTAMP, UNIT_US},
        {"io.debezium.time.NanoTimestamp", SENSE_TIMESTAMP, UNIT_NS},
        {"io.debezium.time.ZonedTimestamp", SENSE_INSTANT, UNIT_NONE},
        {"io.debezium.time.ZonedTime", SENSE_ZONED_TIME, UNIT_NONE},
        {"io.debezium.time.Year", SENSE_YEAR, UNIT_NONE},
        {"io.debezium.time.MicroDuration", SENSE_DURATION, UNIT_US},
        {"io.debezium.time.NanoDuration", SENSE_DURATION, UNIT_NS},
        {"io.debezium.time.Interval", SENSE_DURATION, UNIT_NONE},
        {"org.apache.kafka.connect.data.Date", SENSE_DATE, UNIT_DAY},
        {"org.apache.kafka.connect.data.Time", SENSE_TIME, UNIT_MS},
        {"org.apache.kafka.connect.data.Timestamp", SENSE_TIMESTAMP, UNIT_MS},
        {"org.apache.kafka.connect.data.Decimal", SENSE_DECIMAL, UNIT_NONE},
        {"io.debezium.data.VariableScaleDecimal", SENSE_SCALED, UNIT_NONE},
        {"io.debezium.data.Bits", SENSE_BITS, UNIT_NONE},
        {"io.debezium.data.Enum", SENSE_ENUM, UNIT_NONE},
        {"io.debezium.data.EnumSet", SENSE_SET, UNIT_NONE},
        {"io.debezium.data.Json", SENSE_JSON, UNIT_NONE},
        {"io.debezium.data.Xml", SENSE_XML, UNIT_NONE},
        {"io.debezium.data.Uuid", SENSE_UUID, UNIT_NONE},
        {"io.debezium.data.Ltree", SENSE_LTREE, UNIT_NONE},
        {"io.debezium.data.geometry.Point", SENSE_POINT, UNIT_NONE},
        {"io.debezium.data.geometry.Geometry", SENSE_GEOMETRY, UNIT_NONE},
        {"io.debezium.data.geometry.Geography", SENSE_GEOGRAPHY, UNIT_NONE},
    };

    for (size_t i = 0; i < ARRAY_LEN(senses); i++) {
        if (str_eq_z(name, senses[i].name)) {
            *out_unit = senses[i].unit;
            return senses[i].sense;
        }
    }
    *out_unit = UNIT_NONE;
    return SENSE_NONE;
}
