/*
 * What the tests of row/ share: tables made by hand, records, and the bytes of fields. Tests only.
 */
#ifndef UNIT_ROW_KIT_H
#define UNIT_ROW_KIT_H

#include "base/mem.h"
#include "row/record/decoder.h"

#include "unit.h"

/* A column of that type without a typmod, nullable; tests change what they need. */
static inline struct column kit_column(const char *name, enum column_type type)
{
    return (struct column){
        .name = mem_strdup(name),
        .type_name = mem_strdup(column_type_name(type)),
        .type = type,
        .typmod = -1,
    };
}

/* What the elements of an array are. Their number is that of int4 whatever the type. */
static inline void kit_element(struct column *array, enum column_type type)
{
    array->element = mem_zalloc(sizeof *array->element);
    *array->element = kit_column("", type);
    array->element->wire_oid = 23;
}

/* Takes over what the columns own. */
static inline struct table *kit_table(const struct column *columns, size_t n)
{
    struct table *t = mem_zalloc(sizeof *t);

    t->schema = mem_strdup("public");
    t->name = mem_strdup("t");
    t->quoted = mem_strdup("\"public\".\"t\"");
    t->columns = mem_array(n + 1, sizeof *t->columns);
    memcpy(t->columns, columns, n * sizeof *columns);
    t->column_count = n;
    return t;
}

#define KIT_TABLE(...)                                                                             \
    kit_table((struct column[]){__VA_ARGS__}, ARRAY_LEN(((struct column[]){__VA_ARGS__})))

/* The mapping that the spec asks for; it must not be refused. */
static inline struct mapping *kit_mapping(const struct table *t, const struct mapping_spec *spec,
                                          uint32_t target_id)
{
    struct error err;
    struct mapping *m = mapping_new(t, spec, target_id, &err);

    if (m == NULL) {
        print_error("%s\n", err.text);
        fail();
    }
    return m;
}

static inline struct message kit_message(const char *key, const char *value)
{
    return (struct message){
        .topic = STR_LIT("orders"),
        .partition = 3,
        .leader_epoch = 7,
        .offset = 42,
        .timestamp_ms = 1709210096789,
        .key = str_of(key),
        .value = str_of(value),
    };
}

static inline void kit_assert_text(const char *got, const char *want)
{
    if (strcmp(got, want) != 0) {
        print_error("got:  %s\nwant: %s\n", got, want);
        fail();
    }
}

/* The same numbers in every run (splitmix64); *state starts anywhere. */
static inline uint64_t kit_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9E3779B97F4A7C15);

    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* The bytes as hexadecimal, for comparisons that can be read. */
static inline const char *kit_hex(const struct buf *b, size_t from)
{
    static char text[8192];
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = from; i < b->n && at + 3 < sizeof text; i++) {
        at += (size_t) snprintf(text + at, sizeof text - at, "%02x", b->p[i]);
    }
    return text;
}

#endif
