/*
 * slot.c: every change of state, against the drawing in slot.c written down a second time; what is
 * not drawn aborts. And the strict filter. One thread.
 */
#include "sink/worker/slot.h"

#include "unit.h"

enum { STATES = SLOT_RELEASING + 1 };

/* From (row) to (column), in the order of enum slot_state. */
static const char *const drawn[STATES] = {
    /* C U W R S L Releasing */
    [SLOT_CLAIMING] = ".yy.yyy",  [SLOT_UNKNOWN] = "y.....y", [SLOT_WAITING] = "..yyyyy",
    [SLOT_READING] = "..y.yyy",   [SLOT_STOPPED] = "..y..yy", [SLOT_LOST] = "y.....y",
    [SLOT_RELEASING] = ".......",
};

struct change {
    struct slot slot;
    enum slot_state to;
};

static void set(void *arg)
{
    struct change *c = arg;

    slot_set(&c->slot, c->to);
}

static void test_every_change(void **state)
{
    (void) state;
    for (int from = 0; from < STATES; from++) {
        for (int to = 0; to < STATES; to++) {
            struct change c = {.slot.state = (enum slot_state) from, .to = (enum slot_state) to};
            if (drawn[from][to] == 'y') {
                set(&c);
                assert_int_equal(c.slot.state, to);
            } else {
                unit_expect_abort(set, &c, "ALLOWED");
            }
        }
    }
}

static void test_names_differ(void **state)
{
    (void) state;
    for (int i = 0; i < STATES; i++) {
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(slot_state_name((enum slot_state) i),
                                    slot_state_name((enum slot_state) k));
        }
    }
}

static void test_who_owns_a_line(void **state)
{
    (void) state;
    for (int i = 0; i < STATES; i++) {
        struct slot s = {.state = (enum slot_state) i};
        assert_int_equal(slot_owns(&s),
                         i == SLOT_WAITING || i == SLOT_READING || i == SLOT_STOPPED);
    }
}

static void test_only_what_is_next_is_accepted(void **state)
{
    (void) state;
    for (int i = 0; i < STATES; i++) {
        struct slot s = {.state = (enum slot_state) i, .expect = 10};
        assert_false(slot_accepts(&s, 9));
        assert_int_equal(slot_accepts(&s, 10), i == SLOT_READING);
        assert_int_equal(slot_accepts(&s, 15), i == SLOT_READING); /* holes are no fault */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_change),
        cmocka_unit_test(test_names_differ),
        cmocka_unit_test(test_who_owns_a_line),
        cmocka_unit_test(test_only_what_is_next_is_accepted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
