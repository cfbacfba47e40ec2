/* statements.c: which statement a shape has. What is prepared is in server_txn.c. */
#include "pg/statements.h"

#include "unit.h"

static struct column column = {.name = (char[]){"a"}, .wire_array_oid = OID_INT4_ARRAY};
static struct target_column filled[] = {{.column = &column, .omit_bit = 0}};
static struct table table = {.name = (char[]){"t"}, .quoted = (char[]){"\"s\".\"t\""}};

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
                for (uint64_t omit = 0; omit < 100; omit++) {
                    const struct rows_shape shape = {&targets[t], actions[a], omit};
                    struct statement *of = statements_of(s, &shape);
                    if (round == 0) {
                        made[t][a][omit] = of;
                    }
                    assert_ptr_equal(of, made[t][a][omit]);
                    assert_ptr_equal(of->shape.target, shape.target);
                    assert_int_equal(of->shape.action, shape.action);
                    assert_int_equal(of->shape.omit, shape.omit);
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
    for (uint64_t omit = 0; omit < 300; omit++) {
        const struct rows_shape shape = {&targets[0], ROW_INSERT, omit};
        assert_int_equal(statements_of(s, &shape)->may_prepare, omit < 256);
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
        cmocka_unit_test(test_the_parameters_of_advance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
