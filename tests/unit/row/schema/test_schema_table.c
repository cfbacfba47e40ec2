/*
 * schema_table.c: refs of every kind, what is known of them, and what that holds, against a plain
 * table. One thread.
 */
#include "row/schema/schema_table.h"

#include "unit.h"

enum { REFS = 300, STEPS = 50000 };

static uint64_t seed = 1;

static uint32_t chance(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t) (seed >> 33) % n;
}

/* The same number as an id, a globalId, a contentId and within a GUID. */
static struct schema_ref ref_of(uint32_t i)
{
    static const enum schema_ref_kind kinds[] = {SCHEMA_REF_ID, SCHEMA_REF_GUID, SCHEMA_REF_GLOBAL,
                                                 SCHEMA_REF_CONTENT};
    struct schema_ref ref = {.kind = kinds[i % ARRAY_LEN(kinds)]};

    if (ref.kind == SCHEMA_REF_GUID) {
        ref.guid[i % 16] = (uint8_t) (i / 16 + 1);
    } else {
        ref.id = i / 4;
    }
    return ref;
}

static const struct schema *schema_of(uint32_t shapes)
{
    struct schema *s = schema_new(SCHEMA_AVRO);

    for (uint32_t i = 0; i <= shapes; i++) {
        schema_add_root(s, schema_add(s, SHAPE_INT32));
    }
    schema_seal(s);
    return s;
}

static void test_random(void **state)
{
    static int model[REFS]; /* 0: not there, 1: asked, 2: a schema, 3: a fault */
    struct schema_table t = {0};
    struct error fault;
    const struct schema *schemas[4];

    (void) state;
    error_set(&fault, ERROR_RECORD, "not there");
    for (uint32_t i = 0; i < ARRAY_LEN(schemas); i++) {
        schemas[i] = schema_of(i);
    }
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t i = chance(REFS);
        struct schema_ref ref = ref_of(i);
        struct schema_entry *e = schema_table_find(&t, &ref);
        assert_true((e == NULL) == (model[i] == 0));
        if (e == NULL) {
            e = schema_table_add(&t, &ref);
            model[i] = 1;
        } else if (chance(4) == 0) {
            schema_table_remove(&t, e);
            model[i] = 0;
            continue;
        } else {
            bool ok = chance(2) == 0;
            schema_table_set(&t, e, ok ? schemas[i % 4] : NULL, ok ? NULL : &fault);
            model[i] = ok ? 2 : 3;
        }
        assert_true(schema_ref_same(&e->ref, &ref));
        assert_ptr_equal(e->schema, model[i] == 2 ? schemas[i % 4] : NULL);
        assert_true((e->fault != NULL) == (model[i] == 3));
    }
    size_t count = 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < REFS; i++) {
        count += model[i] != 0;
        bytes += model[i] == 2   ? schema_bytes(schemas[i % 4])
                 : model[i] == 3 ? sizeof(struct error)
                                 : 0;
    }
    assert_int_equal(t.count, count);
    assert_int_equal(t.bytes, bytes);
    schema_table_done(&t);
    for (uint32_t i = 0; i < ARRAY_LEN(schemas); i++) {
        schema_drop(schemas[i]);
    }
}

static void test_the_oldest_is_first_whatever_goes(void **state)
{
    struct schema_table t = {0};

    (void) state;
    for (uint32_t i = 0; i < 5; i++) {
        schema_table_add(&t, &(struct schema_ref){.kind = SCHEMA_REF_ID, .id = i});
    }
    static const int64_t go[] = {0, 2, 4};
    for (size_t i = 0; i < ARRAY_LEN(go); i++) {
        schema_table_remove(
            &t, schema_table_find(&t, &(struct schema_ref){.kind = SCHEMA_REF_ID, .id = go[i]}));
    }
    assert_int_equal(t.oldest->ref.id, 1);
    assert_int_equal(t.oldest->newer->ref.id, 3);
    assert_ptr_equal(t.oldest->newer, t.newest);
    assert_null(t.newest->newer);
    schema_table_done(&t);
    assert_null(t.oldest);
    assert_null(schema_table_find(&t, &(struct schema_ref){.kind = SCHEMA_REF_ID, .id = 1}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_the_oldest_is_first_whatever_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
