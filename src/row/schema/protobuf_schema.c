/* See protobuf_schema.h. */
#include "row/schema/protobuf_schema.h"

#include "base/mem.h"
#include "row/schema/protobuf_file.h"
#include "row/text/base64.h"

#include <stdlib.h>

/* Messages at the top and those in them; libprotobuf's own limit is 32. */
enum { NESTED_MAX = 64 };

static const struct shape *nested_at(const struct shape *const *messages, size_t count, uint32_t i)
{
    return i < count ? messages[i] : NULL;
}

const struct shape *protobuf_message_at(const struct schema *s, const uint32_t *indexes, size_t n)
{
    static const uint32_t first[] = {0};

    if (n == 0) {
        indexes = first;
        n = 1;
    }
    if (indexes[0] >= schema_root_count(s)) {
        return NULL;
    }
    const struct shape *at = schema_root(s, indexes[0]);
    for (size_t i = 1; i < n && at != NULL; i++) {
        at = nested_at(at->nested, at->nested_count, indexes[i]);
    }
    return at;
}

static const struct shape *named(const struct shape *s, struct str name, int depth)
{
    if (str_eq(s->name, name)) {
        return s;
    }
    for (uint32_t i = 0; i < s->nested_count && depth < NESTED_MAX; i++) {
        const struct shape *found = named(s->nested[i], name, depth + 1);
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

const struct shape *protobuf_message_named(const struct schema *s, struct str name)
{
    const struct shape *found = NULL;

    for (size_t i = 0; i < schema_root_count(s) && found == NULL; i++) {
        found = named(schema_root(s, i), name, 0);
    }
    for (size_t i = 0; i < schema_root_count(s) && found == NULL; i++) {
        const struct str full = schema_root(s, i)->name;
        bool is_longer = full.n > name.n && full.p[full.n - name.n - 1] == '.';
        struct str last = is_longer ? (struct str){full.p + full.n - name.n, name.n} : full;
        found = str_eq(last, name) ? schema_root(s, i) : NULL;
    }
    return found;
}

#ifdef PGSINKD_PROTOBUF
enum {
    TEXT_MAX = 64 * 1024 * 1024, /* of one file; registries allow far less */
    SHAPES_MAX = 100000,
};

bool protobuf_schema_is_there(void)
{
    return true;
}

/* ---- well-known types ---- */

/* What the fields 1, 2, ... of such a message are. One of the same name that is something else is
 * an ordinary message. */
#define FIELDS(...)                                                                                \
    (const enum shape_kind[]){__VA_ARGS__}, ARRAY_LEN(((enum shape_kind[]){__VA_ARGS__}))

static const struct well_known {
    const char *name;
    enum shape_sense sense;
    const enum shape_kind *kinds;
    size_t count;
} well_known[] = {
    {"google.protobuf.Timestamp", SENSE_INSTANT, FIELDS(SHAPE_INT64, SHAPE_INT32)},
    {"google.protobuf.Duration", SENSE_DURATION, FIELDS(SHAPE_INT64, SHAPE_INT32)},
    {"google.protobuf.DoubleValue", SENSE_WRAPPER, FIELDS(SHAPE_DOUBLE)},
    {"google.protobuf.FloatValue", SENSE_WRAPPER, FIELDS(SHAPE_FLOAT)},
    {"google.protobuf.Int64Value", SENSE_WRAPPER, FIELDS(SHAPE_INT64)},
    {"google.protobuf.UInt64Value", SENSE_WRAPPER, FIELDS(SHAPE_UINT64)},
    {"google.protobuf.Int32Value", SENSE_WRAPPER, FIELDS(SHAPE_INT32)},
    {"google.protobuf.UInt32Value", SENSE_WRAPPER, FIELDS(SHAPE_UINT32)},
    {"google.protobuf.BoolValue", SENSE_WRAPPER, FIELDS(SHAPE_BOOL)},
    {"google.protobuf.StringValue", SENSE_WRAPPER, FIELDS(SHAPE_STRING)},
    {"google.protobuf.BytesValue", SENSE_WRAPPER, FIELDS(SHAPE_BYTES)},
    {"google.protobuf.Struct", SENSE_DYNAMIC, FIELDS(SHAPE_MAP)},
    {"google.protobuf.Value", SENSE_DYNAMIC,
     FIELDS(SHAPE_ENUM, SHAPE_DOUBLE, SHAPE_STRING, SHAPE_BOOL, SHAPE_RECORD, SHAPE_RECORD)},
    {"google.protobuf.ListValue", SENSE_DYNAMIC, FIELDS(SHAPE_ARRAY)},
    {"google.protobuf.Any", SENSE_PACKED_ANY, FIELDS(SHAPE_STRING, SHAPE_BYTES)},
    {"google.type.Date", SENSE_CALENDAR_DATE, FIELDS(SHAPE_INT32, SHAPE_INT32, SHAPE_INT32)},
    {"google.type.TimeOfDay", SENSE_TIME_OF_DAY,
     FIELDS(SHAPE_INT32, SHAPE_INT32, SHAPE_INT32, SHAPE_INT32)},
    {"google.type.Decimal", SENSE_DECIMAL_RECORD, FIELDS(SHAPE_STRING)},
    {"confluent.type.Decimal", SENSE_CONFLUENT_DECIMAL,
     FIELDS(SHAPE_BYTES, SHAPE_UINT32, SHAPE_INT32)},
};

static bool has_kinds(const struct shape *s, const struct well_known *w)
{
    bool same = s->field_count == w->count;

    for (uint32_t i = 0; i < s->field_count && same; i++) {
        same = s->fields[i].number == (int32_t) i + 1 && s->fields[i].shape->kind == w->kinds[i];
    }
    return same;
}

static void find_sense(struct shape *s)
{
    for (size_t i = 0; i < ARRAY_LEN(well_known); i++) {
        if (str_eq_z(s->name, well_known[i].name) && has_kinds(s, &well_known[i])) {
            s->sense = well_known[i].sense;
            s->logical = s->name;
        }
    }
}

/* ---- shapes ---- */

struct making {
    struct schema *schema;
    const struct protobuf_file *file;
    struct shape **messages; /* of each in the file's list */
    struct shape **groups;   /* those that are also written as groups; NULL: not so */
    struct shape **enums;
    struct shape *scalars[PROTOBUF_TYPE_END]; /* NULL: not needed yet */
    struct shape *loose;                      /* the string that need not be UTF-8 */
};

static struct str copied(struct making *m, const char *name)
{
    return arena_copy(schema_memory(m->schema), str_of(name));
}

static void *room(struct making *m, size_t count, size_t size)
{
    return arena_alloc(schema_memory(m->schema), count * size);
}

static struct shape *scalar(struct making *m, enum protobuf_type type)
{
    static const struct {
        enum shape_kind kind;
        bool is_zigzag;
        bool is_fixed_width;
    } kinds[PROTOBUF_TYPE_END] = {
        [PROTOBUF_DOUBLE] = {SHAPE_DOUBLE, false, true},
        [PROTOBUF_FLOAT] = {SHAPE_FLOAT, false, true},
        [PROTOBUF_INT64] = {SHAPE_INT64, false, false},
        [PROTOBUF_UINT64] = {SHAPE_UINT64, false, false},
        [PROTOBUF_INT32] = {SHAPE_INT32, false, false},
        [PROTOBUF_FIXED64] = {SHAPE_UINT64, false, true},
        [PROTOBUF_FIXED32] = {SHAPE_UINT32, false, true},
        [PROTOBUF_BOOL] = {SHAPE_BOOL, false, false},
        [PROTOBUF_STRING] = {SHAPE_STRING, false, false},
        [PROTOBUF_BYTES] = {SHAPE_BYTES, false, false},
        [PROTOBUF_UINT32] = {SHAPE_UINT32, false, false},
        [PROTOBUF_SFIXED32] = {SHAPE_INT32, false, true},
        [PROTOBUF_SFIXED64] = {SHAPE_INT64, false, true},
        [PROTOBUF_SINT32] = {SHAPE_INT32, true, false},
        [PROTOBUF_SINT64] = {SHAPE_INT64, true, false},
    };

    if (m->scalars[type] == NULL) {
        struct shape *s = schema_add(m->schema, kinds[type].kind);
        s->is_zigzag = kinds[type].is_zigzag;
        s->is_fixed_width = kinds[type].is_fixed_width;
        m->scalars[type] = s;
    }
    return m->scalars[type];
}

static struct shape *loose_string(struct making *m)
{
    if (m->loose == NULL) {
        m->loose = schema_add(m->schema, SHAPE_STRING);
        m->loose->is_loose = true;
    }
    return m->loose;
}

/* The same message, written between two tags. Its fields come when those of the message do. */
static struct shape *group(struct making *m, uint32_t message)
{
    if (m->groups[message] == NULL) {
        m->groups[message] = schema_add(m->schema, SHAPE_RECORD);
    }
    return m->groups[message];
}

/* Of one value of the field. */
static const struct shape *shape_of(struct making *m, const struct protobuf_field *f)
{
    if (f->type == PROTOBUF_MESSAGE) {
        return m->messages[f->target];
    }
    if (f->type == PROTOBUF_GROUP) {
        return group(m, f->target);
    }
    if (f->type == PROTOBUF_ENUM) {
        return m->enums[f->target];
    }
    return f->type == PROTOBUF_STRING && f->is_loose ? loose_string(m) : scalar(m, f->type);
}

static const struct shape *map_of(struct making *m, const struct protobuf_message *entry)
{
    struct shape *map = schema_add(m->schema, SHAPE_MAP);

    map->entry = m->messages[entry - m->file->messages];
    for (uint32_t i = 0; i < entry->field_count; i++) {
        const struct protobuf_field *f = &m->file->fields[entry->first_field + i];
        if (f->number == 1) {
            map->key = shape_of(m, f);
        } else {
            map->element = shape_of(m, f);
        }
    }
    return map;
}

static const struct shape *field_shape(struct making *m, const struct protobuf_field *f)
{
    if (!f->is_repeated) {
        return shape_of(m, f);
    }
    if (f->type == PROTOBUF_MESSAGE && m->file->messages[f->target].is_map_entry) {
        return map_of(m, &m->file->messages[f->target]);
    }
    struct shape *array = schema_add(m->schema, SHAPE_ARRAY);
    array->element = shape_of(m, f);
    return array;
}

static int compare_symbols(const void *a, const void *b)
{
    const struct shape_symbol *x = a;
    const struct shape_symbol *y = b;

    if (x->number != y->number) {
        return x->number < y->number ? -1 : 1;
    }
    return x->place < y->place ? -1 : 1; /* no place comes twice */
}

static void fill_enum(struct making *m, struct shape *s, const struct protobuf_enum *e)
{
    struct str *symbols = room(m, e->value_count, sizeof *symbols);
    int32_t *numbers = room(m, e->value_count, sizeof *numbers);
    struct shape_symbol *sorted = room(m, e->value_count, sizeof *sorted);

    for (uint32_t i = 0; i < e->value_count; i++) {
        const struct protobuf_value *v = &m->file->values[e->first_value + i];
        symbols[i] = copied(m, v->name);
        numbers[i] = v->number;
        sorted[i] = (struct shape_symbol){.number = v->number, .place = i};
    }
    qsort(sorted, e->value_count, sizeof *sorted, compare_symbols);
    s->name = copied(m, e->name);
    s->symbols = symbols;
    s->numbers = numbers;
    s->sorted = sorted;
    s->symbol_count = e->value_count;
}

static int compare_numbers(const void *a, const void *b)
{
    int32_t one = (*(const struct shape_field *const *) a)->number;
    int32_t other = (*(const struct shape_field *const *) b)->number;

    return one < other ? -1 : 1; /* none comes twice */
}

static const struct shape_field **by_number(struct making *m, const struct shape_field *fields,
                                            uint32_t n)
{
    const struct shape_field **sorted = room(m, n, sizeof *sorted);

    for (uint32_t i = 0; i < n; i++) {
        sorted[i] = &fields[i];
    }
    qsort(sorted, n, sizeof *sorted, compare_numbers);
    return sorted;
}

static void fill_message(struct making *m, struct shape *s, const struct protobuf_message *message)
{
    struct shape_field *fields = room(m, message->field_count, sizeof *fields);

    for (uint32_t i = 0; i < message->field_count; i++) {
        const struct protobuf_field *f = &m->file->fields[message->first_field + i];
        fields[i] = (struct shape_field){
            .name = copied(m, f->name),
            .shape = field_shape(m, f),
            .number = f->number,
            .is_optional = f->has_presence,
            .is_repeated = f->is_repeated,
            .oneof = f->oneof,
        };
    }
    s->name = copied(m, message->name);
    s->fields = fields;
    s->field_count = message->field_count;
    s->by_number = by_number(m, fields, s->field_count);
    find_sense(s);
}

static void fill_nested(struct making *m, struct shape *s, const struct protobuf_message *message,
                        bool counts_entries)
{
    const struct shape **nested = room(m, message->nested_count, sizeof *nested);

    for (uint32_t i = 0; i < message->nested_count; i++) {
        uint32_t number = m->file->places[message->first_nested + i];
        if (counts_entries || !m->file->messages[number].is_map_entry) {
            nested[s->nested_count++] = m->messages[number];
        }
    }
    s->nested = nested;
}

static void make_all(struct making *m, bool counts_entries)
{
    const struct protobuf_file *file = m->file;

    for (uint32_t i = 0; i < file->enum_count; i++) {
        m->enums[i] = schema_add(m->schema, SHAPE_ENUM);
        fill_enum(m, m->enums[i], &file->enums[i]);
    }
    for (uint32_t i = 0; i < file->message_count; i++) {
        m->messages[i] = schema_add(m->schema, SHAPE_RECORD);
    }
    for (uint32_t i = 0; i < file->message_count; i++) {
        fill_message(m, m->messages[i], &file->messages[i]);
        fill_nested(m, m->messages[i], &file->messages[i], counts_entries);
    }
    for (uint32_t i = 0; i < file->message_count; i++) {
        if (m->groups[i] != NULL) {
            uint32_t serial = m->groups[i]->serial;
            *m->groups[i] = *m->messages[i];
            m->groups[i]->serial = serial;
            m->groups[i]->is_group = true;
        }
    }
    for (uint32_t i = 0; i < file->top_count; i++) {
        schema_add_root(m->schema, m->messages[i]);
    }
}

static const struct schema *schema_of(const struct protobuf_file *file, bool counts_entries)
{
    struct making m = {.schema = schema_new(SCHEMA_PROTOBUF), .file = file};

    m.messages = mem_array(file->message_count, sizeof *m.messages);
    m.groups = mem_array(file->message_count, sizeof *m.groups);
    m.enums = mem_array(file->enum_count, sizeof *m.enums);
    make_all(&m, counts_entries);
    free(m.messages);
    free(m.groups);
    free(m.enums);
    schema_seal(m.schema);
    return m.schema;
}

/* More shapes than these the file does not make. */
static uint64_t shapes_at_most(const struct protobuf_file *file)
{
    uint64_t n = 2 * (uint64_t) file->message_count + file->enum_count + PROTOBUF_TYPE_END;

    for (uint32_t i = 0; i < file->message_count; i++) {
        n += file->messages[i].field_count;
    }
    return n;
}

/* ---- texts ---- */

/* One file for libprotobuf, with the memory that it needs. */
struct input {
    char *name;
    uint8_t *descriptor; /* NULL: it is text */
};

static void input_done(struct input *in)
{
    free(in->name);
    free(in->descriptor);
}

/* Some clients register a descriptor in base64, and some registries return what they were given. */
static void input_open(struct input *in, const char *name, struct str text,
                       struct protobuf_text *out)
{
    struct str trimmed = str_trim(text);

    *out = (struct protobuf_text){.name = name, .p = text.p, .n = text.n};
    in->descriptor = mem_alloc(trimmed.n);
    size_t n;
    if (base64_decode(trimmed, in->descriptor, &n) &&
        protobuf_file_is_descriptor((const char *) in->descriptor, n)) {
        out->p = (const char *) in->descriptor;
        out->n = n;
        out->is_descriptor = true;
        return;
    }
    free(in->descriptor);
    in->descriptor = NULL;
}

static bool fits(struct str text, struct error *err)
{
    if (text.n > TEXT_MAX) {
        return error_set(err, ERROR_SETUP, "a Protobuf schema of %zu bytes is too large", text.n);
    }
    return true;
}

static bool made(const struct protobuf_file *file, bool is_descriptor, const struct schema **out,
                 struct error *err)
{
    if (file->top_count == 0) {
        return error_set(err, ERROR_SETUP, "the Protobuf schema has no message");
    }
    if (shapes_at_most(file) > SHAPES_MAX) {
        return error_set(err, ERROR_SETUP, "the Protobuf schema has more than %d types and fields",
                         SHAPES_MAX);
    }
    *out = schema_of(file, is_descriptor);
    return true;
}

/* The file's own name, which no import has: a registry does not say it. */
#define OWN_NAME "schema"

bool protobuf_schema_read(struct str text, const struct schema_part *refs, size_t ref_count,
                          const struct schema **out, struct error *err)
{
    struct protobuf_fault fault;

    bool ok = fits(text, err);
    for (size_t i = 0; i < ref_count && ok; i++) {
        ok = fits(refs[i].text, err);
    }
    if (!ok) {
        return false;
    }
    struct input *inputs = mem_array(ref_count + 1, sizeof *inputs);
    struct protobuf_text *texts = mem_array(ref_count + 1, sizeof *texts);
    input_open(&inputs[0], OWN_NAME, text, &texts[0]);
    for (size_t i = 0; i < ref_count; i++) {
        inputs[i + 1].name = mem_strndup(refs[i].name.p, refs[i].name.n);
        input_open(&inputs[i + 1], inputs[i + 1].name, refs[i].text, &texts[i + 1]);
    }
    struct protobuf_file *file = protobuf_file_read(texts, ref_count + 1, &fault);
    if (file != NULL) {
        ok = made(file, texts[0].is_descriptor, out, err);
        (void) protobuf_file_free(file);
    } else {
        ok = error_set(err, ERROR_SETUP, "the Protobuf schema cannot be read: %s", fault.text);
    }
    for (size_t i = 0; i < ref_count + 1; i++) {
        input_done(&inputs[i]);
    }
    free(inputs);
    free(texts);
    return ok;
}
#else
bool protobuf_schema_is_there(void)
{
    return false;
}

bool protobuf_schema_read(struct str text, const struct schema_part *refs, size_t ref_count,
                          const struct schema **out, struct error *err)
{
    (void) text;
    (void) refs;
    (void) ref_count;
    (void) out;
    error_set(err, ERROR_SETUP, "this build of pgsinkd does not read Protobuf schemas");
    return error_hint(err, "Build it with libprotobuf-dev and libprotoc-dev (meson setup "
                           "-Dprotobuf=enabled).");
}
#endif
