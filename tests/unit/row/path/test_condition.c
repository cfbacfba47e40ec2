/* condition.c, condition_parse.c, compare.c: what holds, what is refused, and random conditions
 * against a plain evaluator. */
#include "row/path/condition.h"

#include "row/kit.h"
#include "row/cell/compare.h"

/* What the fields of the tests' record are. Every other path is lacking. */
struct known {
    const char *path;
    struct cell cell;
};

#define TEXT(s)                                                                                    \
    {                                                                                              \
        .kind = CELL_STRING, .text = {.p = (s), .n = sizeof(s) - 1 }                               \
    }
#define BYTES(s)                                                                                   \
    {                                                                                              \
        .kind = CELL_BYTES, .text = {.p = (s), .n = sizeof(s) - 1 }                                \
    }
#define NUMBER(s)                                                                                  \
    {                                                                                              \
        .kind = CELL_NUMBER, .text = {.p = (s), .n = sizeof(s) - 1 }                               \
    }
#define SHORT(s, whole, digits)                                                                    \
    {                                                                                              \
        .kind = CELL_NUMBER, .is_short = true, .number = (whole), .scale = (digits), .text = {     \
            .p = (s),                                                                              \
            .n = sizeof(s) - 1                                                                     \
        }                                                                                          \
    }

static const struct known known[] = {
    {"value.text", TEXT("order")},
    {"value.empty", TEXT("")},
    {"value.quote", TEXT("it's")},
    {"value.five", SHORT("5", 5, 0)},
    {"value.price", SHORT("12.50", 1250, 2)},
    {"value.huge", NUMBER("1e30")},
    {"value.yes", {.kind = CELL_BOOL, .truth = true}},
    {"value.no", {.kind = CELL_BOOL}},
    {"value.null", {.kind = CELL_NULL}},
    {"value.list", {.kind = CELL_JSON, .text = {.p = "[]", .n = 2}}},
    {"value.\"odd name\".x", TEXT("odd")},
    {"headers.n", BYTES("7")},
    {"headers.flag", BYTES("true")},
    {"key", BYTES("k1")},
    {"meta.topic", TEXT("orders")},
    {"meta.offset", {.kind = CELL_INT, .number = 42}},
};

/* Gives every path of the condition its cell; what is not known is lacking, in cell 0. */
static void bind(struct condition *c, struct cell *cells)
{
    _cleanup_buf_ struct buf text = {0};

    cells[0].kind = CELL_ABSENT;
    for (size_t k = 0; k < ARRAY_LEN(known); k++) {
        cells[1 + k] = known[k].cell;
    }
    for (size_t i = 0; i < condition_path_count(c); i++) {
        buf_clear(&text);
        path_print(condition_path(c, i), true, &text);
        condition_bind(c, i, 0);
        for (uint32_t k = 0; k < ARRAY_LEN(known); k++) {
            if (strcmp(buf_cstr(&text), known[k].path) == 0) {
                condition_bind(c, i, 1 + k);
            }
        }
    }
}

static bool holds(const char *text)
{
    struct error err;
    struct cell cells[1 + ARRAY_LEN(known)];
    struct condition *c = condition_new(text, &err);

    if (c == NULL) {
        print_error("%s: %s\n", text, err.text);
        fail();
    }
    bind(c, cells);
    bool answer = condition_holds(c, cells);
    condition_free(c);
    return answer;
}

static void expect(const char *text, bool answer)
{
    if (holds(text) != answer) {
        print_error("%s: should %shold\n", text, answer ? "" : "not ");
        fail();
    }
}

#define HOLDS(text) expect(text, true)
#define NOT(text) expect(text, false)

static void test_texts(void **state)
{
    (void) state;
    HOLDS("value.text = 'order'");
    NOT("value.text = 'Order'");
    HOLDS("value.text != 'Order'");
    HOLDS("value.text <> ''");
    NOT("value.text != 'order'");
    HOLDS("'order' = value.text");
    HOLDS("value.text = value.text");
    HOLDS("value.quote = 'it''s'");
    HOLDS("value.empty = ''");
    HOLDS("value.text > 'orde'");
    HOLDS("value.text < 'ordes'");
    HOLDS("value.text>='order'");
    HOLDS("value.text<='order'");
    NOT("value.text > 'order'");
    NOT("value.text < 'order'");
    HOLDS("value.\"odd name\".x = 'odd'");
    HOLDS("meta.topic = 'orders'");
    HOLDS(" \t\r\nvalue.text\n=\n'order'\n");
}

static void test_numbers(void **state)
{
    (void) state;
    HOLDS("value.five = 5");
    HOLDS("value.five = 5.0");
    HOLDS("value.five = +5");
    HOLDS("value.five = 50e-1");
    HOLDS("value.five > -5");
    HOLDS("value.five >= 5");
    HOLDS("value.five <= 5");
    NOT("value.five < 5");
    HOLDS("value.five < 5.000000000000000000000000000001");
    HOLDS("value.five != 6");
    HOLDS("value.price = 12.5");
    HOLDS("value.price = 12.50");
    HOLDS("value.price < 12.51");
    HOLDS("value.huge = 1000000000000000000000000000000");
    HOLDS("value.huge > 999999999999999999999999999999.9");
    HOLDS("meta.offset = 42");
    HOLDS("meta.offset < 42.5");
    HOLDS("meta.offset > value.five");
    HOLDS("-0 = 0");
}

static void test_booleans(void **state)
{
    (void) state;
    HOLDS("value.yes");
    HOLDS("value.yes = true");
    NOT("value.no");
    HOLDS("not value.no");
    HOLDS("value.no = FALSE");
    HOLDS("value.yes != value.no");
    NOT("value.yes < value.no");
    NOT("value.yes > value.no");
    HOLDS("true");
    NOT("false");
    HOLDS("True and not False");
    NOT("value.text");
    NOT("value.lacking");
    HOLDS("headers.flag");
}

static void test_what_is_unlike_differs(void **state)
{
    (void) state;
    NOT("value.text = 5");
    HOLDS("value.text != 5");
    NOT("value.text < 5");
    NOT("value.text > 5");
    NOT("value.five = '5'");
    NOT("value.yes = 'true'");
    NOT("value.list = '[]'");
    HOLDS("value.list != '[]'");
    HOLDS("value.list != value.list");
    HOLDS("value.list not in ('[]')");
}

static void test_bytes_are_taken_for_what_they_meet(void **state)
{
    (void) state;
    HOLDS("key = 'k1'");
    HOLDS("'k1' = key");
    HOLDS("key = key");
    HOLDS("key < headers.n or key > headers.n");
    HOLDS("headers.n = 7");
    HOLDS("7.0 = headers.n");
    HOLDS("headers.n = '7'");
    HOLDS("headers.n < meta.offset");
    NOT("key = 7");
    NOT("key < 7");
    HOLDS("key != 7");
    HOLDS("headers.flag = true");
    HOLDS("true = headers.flag");
    HOLDS("headers.flag != false");
    NOT("headers.n = true");
    HOLDS("headers.n != true");
}

static void test_what_is_lacking_or_null(void **state)
{
    (void) state;
    NOT("value.lacking = 'x'");
    NOT("value.lacking != 'x'");
    NOT("value.null = 'x'");
    NOT("value.null != 'x'");
    NOT("'x' != value.null");
    NOT("value.null = value.null");
    HOLDS("not (value.lacking = 'x')");
    HOLDS("value.lacking is null");
    HOLDS("value.null is null");
    NOT("value.text is null");
    HOLDS("value.text IS NOT NULL");
    NOT("value.null is not null");
    HOLDS("exists(value.null)");
    HOLDS("EXISTS ( value.text )");
    NOT("exists(value.lacking)");
    HOLDS("not exists(headers.lacking)");
    NOT("value.lacking in ('x', 'y')");
    NOT("value.lacking not in ('x', 'y')");
    NOT("value.null not in ('x')");
    NOT("value.null");
    HOLDS("key is not null");
}

static void test_lists(void **state)
{
    (void) state;
    HOLDS("value.text in ('order')");
    HOLDS("value.text in ('a', 5, true, 'order')");
    NOT("value.text in ('a', 'b')");
    HOLDS("value.text not in ('a', 'b')");
    NOT("value.text NOT IN ('a', 'order')");
    HOLDS("value.five in (1, 5.00)");
    HOLDS("'b' in ('a', 'b')");
}

static void test_and_or_not(void **state)
{
    (void) state;
    HOLDS("true or false and false");
    NOT("(true or false) and false");
    HOLDS("not false and true");
    NOT("not (false or true)");
    HOLDS("not not true");
    HOLDS("false or false or true");
    NOT("true and true and false");
    HOLDS("((value.text = 'order')) and (value.five = 5 or value.five = 6) and not value.no");
    HOLDS("value.android is null and value.text = 'order'");
}

static void expect_fault(const char *text, const char *words)
{
    struct error err;
    struct condition *c = condition_new(text, &err);

    if (c != NULL) {
        print_error("taken: %s\n", text);
        fail();
    }
    assert_int_equal(err.class, ERROR_SETUP);
    kit_assert_text(err.text, words);
}

static void test_faults_have_a_place(void **state)
{
    (void) state;
    expect_fault("", "expected a value at the end");
    expect_fault("value.a =", "expected a value at the end");
    expect_fault("value.a = b", "at byte 11: 'b' is not a path: it does not start with value, key, "
                                "headers, item or meta");
    expect_fault("value.a = 'b", "a text without its closing quote at byte 11, before ''b'");
    expect_fault("value.a = \"b\"", "unexpected character at byte 11, before '\"b\"'");
    expect_fault("value.a == 5", "expected a value at byte 10, before '= 5'");
    expect_fault("value.a = null", "expected a value at byte 11, before 'null'");
    expect_fault("value.a = 1.2.3", "not a number at byte 11, before '1.2.3'");
    expect_fault("value.a 5", "expected 'and', 'or' or the end at byte 9, before '5'");
    expect_fault("value.a is 5", "expected 'null' at byte 12, before '5'");
    expect_fault("value.a not 5", "expected 'in' at byte 13, before '5'");
    expect_fault("value.a in 5", "expected '(' at byte 12, before '5'");
    expect_fault("value.a in (5", "expected ')' at the end");
    expect_fault("value.a in ()", "expected a value at byte 13, before ')'");
    expect_fault("value.a in (5,)", "expected a value at byte 15, before ')'");
    expect_fault("value.a in (value.b)", "expected a value at byte 13, before 'value.b)'");
    expect_fault("(value.a", "expected ')' at the end");
    expect_fault("value.a)", "expected 'and', 'or' or the end at byte 8, before ')'");
    expect_fault("value.a and", "expected a value at the end");
    expect_fault("or value.a", "expected a value at byte 1, before 'or value.a'");
    expect_fault("'text'", "expected a comparison at the end");
    expect_fault("5 and true", "expected a comparison at byte 3, before 'and true'");
    expect_fault("5 is null", "expected a comparison at byte 3, before 'is null'");
    expect_fault("exists value.a", "expected '(' at byte 8, before 'value.a'");
    expect_fault("exists('a')", "expected a path at byte 8, before ''a')'");
    expect_fault("exists(key)", "expected a field or a header at byte 8, before 'key)'");
    expect_fault("exists(value.a", "expected ')' at the end");
    expect_fault("value.a # 5", "unexpected character at byte 9, before '# 5'");
    expect_fault("meta.x = 1",
                 "at byte 1: 'meta.x' is not a path: meta has topic, partition, offset, "
                 "timestamp, index, schema and schema_id");
    expect_fault("value.\"a = 1",
                 "at byte 1: 'value.\"a = 1' is not a path: a quote is not closed");
}

static void test_limits(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf text = {0};
    for (int i = 0; i < CONDITION_DEPTH_MAX - 1; i++) {
        buf_add_z(&text, i % 2 == 0 ? "not " : "(");
    }
    buf_add_z(&text, "true");
    buf_fill(&text, ')', (CONDITION_DEPTH_MAX - 1) / 2);
    NOT(buf_cstr(&text));
    buf_clear(&text);
    buf_fill(&text, '(', CONDITION_DEPTH_MAX);
    buf_add_z(&text, "true");
    expect_fault(buf_cstr(&text), "too many parentheses or 'not' in each other at byte 51, before "
                                  "'true'");
    buf_clear(&text);
    buf_add_z(&text, "false");
    while (text.n < CONDITION_TEXT_MAX - 9) {
        buf_add_z(&text, " or false");
    }
    NOT(buf_cstr(&text));
    buf_fill(&text, ' ', CONDITION_TEXT_MAX - text.n + 1);
    expect_fault(buf_cstr(&text), "it is longer than 8192 bytes");
}

static void test_a_path_is_read_once(void **state)
{
    (void) state;
    struct error err;
    struct condition *c = condition_new("value.a = 1 or value.\"a\" = 2 or key = 'x'", &err);
    assert_non_null(c);
    assert_int_equal(condition_path_count(c), 2);
    assert_int_equal(condition_path(c, 0)->name_count, 1);
    assert_int_equal(condition_path(c, 1)->root, PATH_KEY);
    assert_null(condition_free(c));
    assert_null(condition_free(NULL));
}

/* ---- random conditions: written and judged at the same time ---- */

struct random {
    uint64_t state;
    struct buf text;
    struct cell cells[1 + ARRAY_LEN(known)];
};

static uint32_t pick(struct random *r, uint32_t n)
{
    return (uint32_t) (kit_random(&r->state) % n);
}

/* A field of the record, or one that it lacks; its cell. */
static const struct cell *random_path(struct random *r)
{
    static const struct cell lacking = {.kind = CELL_ABSENT};
    uint32_t k = pick(r, ARRAY_LEN(known) + 1);

    buf_add_z(&r->text, k == ARRAY_LEN(known) ? "value.lacking" : known[k].path);
    return k == ARRAY_LEN(known) ? &lacking : &known[k].cell;
}

static struct cell random_literal(struct random *r)
{
    static const struct known literals[] = {
        {"'order'", TEXT("order")}, {"''", TEXT("")},
        {"'it''s'", TEXT("it's")},  {"5", SHORT("5", 5, 0)},
        {"12.5", NUMBER("12.5")},   {"1000e27", NUMBER("1000e27")},
        {"7", SHORT("7", 7, 0)},    {"42", SHORT("42", 42, 0)},
        {"'k1'", TEXT("k1")},       {"true", {.kind = CELL_BOOL, .truth = true}},
    };
    const struct known *k = &literals[pick(r, ARRAY_LEN(literals))];

    buf_add_z(&r->text, k->path);
    return k->cell;
}

static bool plain_compare(const char *sign, const struct cell *a, const struct cell *b)
{
    if (a->kind <= CELL_NULL || b->kind <= CELL_NULL) {
        return false;
    }
    enum cell_order order = compare_cells(a, b);
    bool less = order == CELL_LESS;
    bool equal = order == CELL_EQUAL;
    bool greater = order == CELL_GREATER;
    if (strcmp(sign, "!=") == 0 || strcmp(sign, "<>") == 0) {
        return !equal;
    }
    return (less && strchr(sign, '<') != NULL) || (greater && strchr(sign, '>') != NULL) ||
           (equal && strchr(sign, '=') != NULL);
}

static bool random_comparison(struct random *r)
{
    static const char *const signs[] = {"=", "!=", "<>", "<", "<=", ">", ">="};
    const char *sign = signs[pick(r, ARRAY_LEN(signs))];
    const struct cell *a = random_path(r);

    buf_printf(&r->text, pick(r, 2) ? " %s " : "%s", sign);
    struct cell literal;
    const struct cell *b = &literal;
    if (pick(r, 4) == 0) {
        b = random_path(r);
    } else {
        literal = random_literal(r);
    }
    return plain_compare(sign, a, b);
}

static bool random_list(struct random *r)
{
    const struct cell *a = random_path(r);
    bool negated = pick(r, 2);
    bool found = false;

    buf_add_z(&r->text, negated ? " not in (" : " in (");
    for (uint32_t n = 1 + pick(r, 3); n > 0; n--) {
        struct cell b = random_literal(r);
        found |= plain_compare("=", a, &b);
        buf_add_z(&r->text, n > 1 ? ", " : ")");
    }
    return a->kind > CELL_NULL && found != negated;
}

static bool random_null(struct random *r)
{
    const struct cell *a = random_path(r);
    bool negated = pick(r, 2);

    buf_add_z(&r->text, negated ? " is not null" : " is null");
    return (a->kind <= CELL_NULL) != negated;
}

static bool random_truth(struct random *r)
{
    const struct cell *a = random_path(r);

    return (a->kind == CELL_BOOL && a->truth) ||
           (a->kind == CELL_BYTES && str_eq_z(a->text, "true"));
}

static bool random_condition(struct random *r, unsigned depth);

/* In parentheses wherever the text would read otherwise: always. */
static bool random_inner(struct random *r, unsigned depth)
{
    buf_add_z(&r->text, "(");
    bool answer = random_condition(r, depth - 1);
    buf_add_z(&r->text, ")");
    return answer;
}

static bool random_chain(struct random *r, unsigned depth, bool all)
{
    bool answer = all;

    for (uint32_t n = 2 + pick(r, 2); n > 0; n--) {
        bool part = random_inner(r, depth);
        answer = all ? answer && part : answer || part;
        buf_add_z(&r->text, n == 1 ? "" : all ? " and " : " or ");
    }
    return answer;
}

static bool random_condition(struct random *r, unsigned depth)
{
    switch (pick(r, depth > 0 ? 8 : 4)) {
    case 0:
        return random_comparison(r);
    case 1:
        return random_list(r);
    case 2:
        return random_null(r);
    case 3:
        return random_truth(r);
    case 4:
        buf_add_z(&r->text, "not ");
        return !random_inner(r, depth);
    case 5:
        return random_inner(r, depth);
    case 6:
        return random_chain(r, depth, true);
    default:
        return random_chain(r, depth, false);
    }
}

static void test_random_conditions(void **state)
{
    (void) state;
    struct random r = {.state = 4};
    unsigned held = 0;
    for (int i = 0; i < 20000; i++) {
        buf_clear(&r.text);
        bool answer = random_condition(&r, 4);
        if (r.text.n > CONDITION_TEXT_MAX) {
            continue;
        }
        expect(buf_cstr(&r.text), answer);
        held += answer;
    }
    assert_in_range(held, 4000, 16000);
    buf_done(&r.text);
}

/* Whatever is cut out of, or put into, a condition: an answer or a fault with a place. */
static void test_random_damage(void **state)
{
    (void) state;
    static const char *const pieces[] = {"(", ")",    "'", "\"", " and ", " not ", ",",
                                         "=", "null", "5", ".",  "value", "\xff",  " is "};
    struct random r = {.state = 5};
    for (int i = 0; i < 20000; i++) {
        struct error err = {0};
        buf_clear(&r.text);
        (void) random_condition(&r, 2);
        size_t at = pick(&r, (uint32_t) r.text.n);
        r.text.n = MAX(at, (size_t) 1);
        for (uint32_t n = pick(&r, 3); n > 0; n--) {
            buf_add_z(&r.text, pieces[pick(&r, ARRAY_LEN(pieces))]);
        }
        struct condition *c = condition_new(buf_cstr(&r.text), &err);
        assert_true(c != NULL || (err.class == ERROR_SETUP && err.text[0] != '\0'));
        if (c != NULL) {
            bind(c, r.cells);
            (void) condition_holds(c, r.cells);
        }
        condition_free(c);
    }
    buf_done(&r.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_what_is_unlike_differs),
        cmocka_unit_test(test_bytes_are_taken_for_what_they_meet),
        cmocka_unit_test(test_what_is_lacking_or_null),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_and_or_not),
        cmocka_unit_test(test_faults_have_a_place),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_a_path_is_read_once),
        cmocka_unit_test(test_random_conditions),
        cmocka_unit_test(test_random_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
