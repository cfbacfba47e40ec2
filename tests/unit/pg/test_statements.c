/* statements.c: which statement a shape has. What is prepared is in server_txn.c. */
#include "pg/statements.h"

#include "unit.h"

static struct column column = {.name = (char[]){"a"}, .wire_array_oid = OID_INT4_ARRAY};
static struct target_column filled[] = {{.column = &column, .omit_bit = 0}};
static struct table table = {
    .name = (char[]){"t"}, .quoted = (char[]){"\"s\".\"t\""}, .signature = (char[]){"7:abc"}};

static struct target targets[] = {
    {.table = &table, .columns = filled, .column_count = 1},
    {.table = &table, .columns = filled, .column_count = 1},
};

static void test_each_shape_has_a_statement_of_its_own(void **state)
{
    static const enum row_action actions[] = {ROW_INSERT, ROW_IGNORE};
    struct statement *made[ARRAY_LEN(targets)][ARRAY_LEN(actions)][100];
    struct statements *s = statements_new(NULL);

    (void) state;
    for (int round = 0; round < 2; round++) {
        for (size_t t = 0; t < ARRAY_LEN(targets); t++) {
            for (size_t a = 0; a < ARRAY_LEN(actions); a++) {
                for (size_t omit = 0; omit < 100; omit++) {
                    omit_mask mask = omit < 50 ? omit : (omit_mask) omit << 64;
                    const struct rows_shape shape = {&targets[t], actions[a], mask};
                    struct statement *of = statements_of(s, &shape);
                    if (round == 0) {
                        made[t][a][omit] = of;
                    }
                    assert_ptr_equal(of, made[t][a][omit]);
                    assert_ptr_equal(of->shape.target, shape.target);
                    assert_int_equal(of->shape.action, shape.action);
                    assert_true(of->shape.omit == shape.omit);
                }
            }
        }
    }
    statements_free(s);
}

static void test_shapes_of_a_target_share_its_temporary_tables(void **state)
{
    struct statements *s = statements_new(NULL);
    const struct statement *of[] = {
        statements_of(s, &(struct rows_shape){&targets[0], ROW_INSERT, 0}),
        statements_of(s, &(struct rows_shape){&targets[1], ROW_INSERT, 0}),
        statements_of(s, &(struct rows_shape){&targets[1], ROW_INSERT, 1}),
    };

    (void) state;
    assert_string_not_equal(of[0]->stage, of[1]->stage);
    assert_string_equal(of[1]->stage, of[2]->stage);
    assert_string_equal(of[1]->places, of[2]->places);
    assert_string_not_equal(of[1]->places, of[1]->stage);
    statements_free(s);
}

static void test_more_shapes_than_the_server_should_plan_for(void **state)
{
    struct statements *s = statements_new(NULL);

    (void) state;
    for (omit_mask omit = 0; omit < 300; omit++) {
        const struct rows_shape shape = {&targets[0], ROW_INSERT, omit};
        assert_int_equal(statements_of(s, &shape)->may_prepare, omit < 256);
    }
    statements_free(s);
}

static void assert_text(const char *text, const char *want)
{
    if (strstr(text, want) == NULL) {
        print_error("got:  %s\nwant: %s\n", text, want);
        fail();
    }
}

/* INSERT has the guard in itself; the plans of UPDATE and DELETE are made anew each time. */
static void test_each_statement_is_guarded(void **state)
{
    struct statements *s = statements_new("ledger");
    struct target target = targets[0];
    const struct rows_shape insert = {&target, ROW_INSERT, 0};

    (void) state;
    assert_null(strstr(statements_of(s, &insert)->sql, "columns_are")); /* dead letters: no route */
    target.route = "r";
    statements_forget(s, (const struct target *[]){&target}, 1);
    assert_text(statements_of(s, &insert)->sql,
                " WHERE \"ledger\".columns_are('\"s\".\"t\"'::pg_catalog.regclass,'7:abc')");
    const struct statement *guard = statements_guard(s, &target);
    assert_text(guard->sql, "SELECT \"ledger\".columns_are('\"s\".\"t\"'::pg_catalog.regclass,"
                            "'7:abc') FROM ONLY \"s\".\"t\" LIMIT 0");
    assert_ptr_equal(statements_guard(s, &target), guard);
    assert_text(statements_compare(s)->sql, "columns_now(pg_catalog.to_regclass($1),$2)");
    statements_free(s);

    s = statements_new(NULL);
    assert_text(statements_of(s, &insert)->sql, "to_regclass('\"s\".\"t\"')");
    assert_null(statements_guard(s, &target));
    assert_null(statements_compare(s));
    statements_free(s);
}

/* The session still has what was prepared without one, by names that are not used again. */
static void test_a_schema_comes(void **state)
{
    struct statements *s = statements_new(NULL);
    const struct rows_shape shape = {&targets[0], ROW_INSERT, 0};
    char name[sizeof statements_of(s, &shape)->name];
    char stage[sizeof statements_of(s, &shape)->stage];

    (void) state;
    memcpy(name, statements_of(s, &shape)->name, sizeof name);
    memcpy(stage, statements_of(s, &shape)->stage, sizeof stage);
    s = statements_with_schema(s, "letters");
    assert_string_not_equal(statements_of(s, &shape)->name, name);
    assert_string_not_equal(statements_of(s, &shape)->stage, stage);
    assert_non_null(statements_compare(s));
    assert_string_not_equal(statements_compare(s)->name, "");
    statements_free(s);
}

/* Their names are not used again: the session may still have what they were of. */
static void test_a_target_is_forgotten(void **state)
{
    struct statements *s = statements_new(NULL);
    char names[3][24];

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        const struct rows_shape shape = {&targets[i], ROW_INSERT, 0};
        memcpy(names[i], statements_of(s, &shape)->stage, sizeof names[i]);
    }
    statements_forget(s, (const struct target *[]){&targets[0]}, 1);
    const struct rows_shape first = {&targets[0], ROW_INSERT, 0};
    const struct rows_shape second = {&targets[1], ROW_INSERT, 0};
    assert_string_equal(statements_of(s, &second)->stage, names[1]);
    memcpy(names[2], statements_of(s, &first)->stage, sizeof names[2]);
    assert_string_not_equal(names[2], names[0]);
    assert_string_not_equal(names[2], names[1]);
    assert_string_not_equal(statements_of(s, &first)->name, statements_of(s, &second)->name);
    statements_free(s);
}

static void test_a_session_is_cleaned_now_and_then(void **state)
{
    struct statements *s = statements_new(NULL);
    struct conn c = {.session = 1};
    const struct rows_shape shape = {&targets[0], ROW_INSERT, 0};
    unsigned cleaned = 0;

    (void) state;
    for (int i = 0; i < 200; i++) {
        cleaned += statements_meet(s, &c) ? 1 : 0;
        assert_int_equal(statements_of(s, &shape)->state, STATEMENT_NONE);
        assert_true(statements_of(s, &shape)->may_prepare);
        statements_forget(s, (const struct target *[]){&targets[0]}, 1);
    }
    assert_in_range(cleaned, 2, 20);
    c.session++;
    for (int i = 0; i < 31; i++) {
        assert_false(statements_meet(s, &c));
        (void) statements_of(s, &shape);
        statements_forget(s, (const struct target *[]){&targets[0]}, 1);
    }
    statements_free(s);
}

static void test_the_parameters_of_advance(void **state)
{
    const struct span span = {
        .partition = 1,
        .owner_epoch = 2,
        .from = 3,
        .next = 4,
        .leader_epoch = 5,
        .last_timestamp_ms = 6,
        .end_offset = 7,
        .fp = {.offset = 8, .crc = UINT32_MAX},
    };
    static const int64_t want[] = {1, 2, 3, 4, 5, 6, 7, 8, -1};
    struct statements *s = statements_new("ledger");
    const struct statement *advance = statements_advance(s);

    (void) state;
    assert_int_equal(advance->parameter_count, 2 + SPAN_FIELDS + 1); /* the marker */
    assert_non_null(strstr(advance->sql, "\"ledger\".advance($1,"));
    for (int field = 0; field < SPAN_FIELDS; field++) {
        assert_int_equal(statements_span_field(&span, (enum span_field) field), want[field]);
    }
    statements_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_shape_has_a_statement_of_its_own),
        cmocka_unit_test(test_shapes_of_a_target_share_its_temporary_tables),
        cmocka_unit_test(test_more_shapes_than_the_server_should_plan_for),
        cmocka_unit_test(test_each_statement_is_guarded),
        cmocka_unit_test(test_a_schema_comes),
        cmocka_unit_test(test_a_target_is_forgotten),
        cmocka_unit_test(test_a_session_is_cleaned_now_and_then),
        cmocka_unit_test(test_the_parameters_of_advance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
