/*
 * teacher.c: what a decoder learns of each answer, and when it is worth asking again. The test says
 * which schema is lacking, and what is known of it. One thread.
 */
#include "sink/schemas/teacher.h"

#include "sink/schemas/schema_source.h"

#include "unit.h"

static const struct schema_ref seven = {.kind = SCHEMA_REF_ID, .id = 7};

static enum error_class answer; /* ERROR_NONE: it is there */
static unsigned made;           /* sources */
static unsigned freed;
static unsigned learned;
static enum error_class learned_fault;

const struct schema_ref *__wrap_decoder_lacks(const struct decoder *d);
void __wrap_decoder_learn(struct decoder *d, const struct schema_ref *ref,
                          const struct schema *schema, const struct error *fault);
struct schema_source *__wrap_schema_source_new(const struct config *cfg, int stop_fd);
struct schema_source *__wrap_schema_source_free(struct schema_source *s);
bool __wrap_schema_source_get(struct schema_source *s, const struct schema_ref *ref, struct conn *c,
                              const struct schema **out, struct error *err);

const struct schema_ref *__wrap_decoder_lacks(const struct decoder *d)
{
    (void) d;
    return &seven;
}

void __wrap_decoder_learn(struct decoder *d, const struct schema_ref *ref,
                          const struct schema *schema, const struct error *fault)
{
    (void) d;
    assert_true(schema_ref_same(ref, &seven));
    assert_true((schema != NULL) == (fault == NULL));
    learned++;
    learned_fault = fault != NULL ? fault->class : ERROR_NONE;
}

struct schema_source *__wrap_schema_source_new(const struct config *cfg, int stop_fd)
{
    (void) cfg;
    (void) stop_fd;
    made++;
    return (struct schema_source *) &made;
}

struct schema_source *__wrap_schema_source_free(struct schema_source *s)
{
    freed += s != NULL;
    return NULL;
}

bool __wrap_schema_source_get(struct schema_source *s, const struct schema_ref *ref, struct conn *c,
                              const struct schema **out, struct error *err)
{
    assert_ptr_equal(s, &made);
    assert_true(schema_ref_same(ref, &seven));
    assert_null(c);
    if (answer != ERROR_NONE) {
        return error_set(err, answer, "as the test says");
    }
    struct schema *schema = schema_new(SCHEMA_AVRO);
    schema_add_root(schema, schema_add(schema, SHAPE_BOOL));
    schema_seal(schema);
    *out = schema;
    return true;
}

static bool teach(enum error_class what)
{
    static const struct config cfg;
    struct teacher *t = teacher_new(&cfg, NULL, -1);
    struct error err;

    answer = what;
    made = freed = learned = 0;
    bool ok = teacher_teach(t, NULL, &err);
    if (!ok) {
        assert_int_equal(err.class, what);
    }
    assert_int_equal(teacher_teach(t, NULL, &err), ok);
    assert_int_equal(made, 1);
    assert_null(teacher_free(t));
    assert_int_equal(freed, 1);
    return ok;
}

static void test_a_schema_is_learned(void **state)
{
    (void) state;
    assert_true(teach(ERROR_NONE));
    assert_int_equal(learned, 2);
    assert_int_equal(learned_fault, ERROR_NONE);
}

/* What is wrong with the schema, or with its number, is the record's: it is read again, and says
 * so. */
static void test_a_fault_is_learned(void **state)
{
    (void) state;
    static const enum error_class faults[] = {ERROR_RECORD, ERROR_SETUP};
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        assert_true(teach(faults[i]));
        assert_int_equal(learned, 2);
        assert_int_equal(learned_fault, faults[i]);
    }
}

static void test_of_no_answer_nothing_is_learned(void **state)
{
    (void) state;
    static const enum error_class faults[] = {ERROR_LINK, ERROR_AGAIN};
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        assert_false(teach(faults[i]));
        assert_int_equal(learned, 0);
    }
}

/* A registry is asked only where a record names a schema. */
static void test_without_a_question_nothing_is_opened(void **state)
{
    (void) state;
    static const struct config cfg;
    made = freed = 0;
    teacher_free(teacher_new(&cfg, NULL, -1));
    teacher_free(NULL);
    assert_int_equal(made, 0);
    assert_int_equal(freed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_schema_is_learned),
        cmocka_unit_test(test_a_fault_is_learned),
        cmocka_unit_test(test_of_no_answer_nothing_is_learned),
        cmocka_unit_test(test_without_a_question_nothing_is_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
