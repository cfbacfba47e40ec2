/*
 * document.c over json.cc: what is JSON and what is not, and the fields that a tree asks for. meson
 * runs this once more for each of simdjson's implementations.
 */
#include "row/json/document.h"

#include "row/kit.h"
#include "row/json/json.h"

#include <sys/mman.h>
#include <unistd.h>

static struct document *document;

static int setup(void **state)
{
    (void) state;
    document = document_new();
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    document = document_free(document);
    return 0;
}

static void expect_good(const char *text, size_t n)
{
    struct error err;

    if (!document_read(document, (struct str){.p = text, .n = n}, NULL, NULL, &err)) {
        print_error("%.*s: %s\n", (int) n, text, err.text);
        fail();
    }
}

static void expect_bad(const char *text, size_t n, const char *words)
{
    struct error err;

    if (document_read(document, (struct str){.p = text, .n = n}, NULL, NULL, &err)) {
        print_error("taken: %.*s\n", (int) n, text);
        fail();
    }
    assert_int_equal(err.class, ERROR_RECORD);
    if (words != NULL && strstr(err.text, words) == NULL) {
        print_error("%.*s: got: %s, want: %s\n", (int) n, text, err.text, words);
        fail();
    }
}

#define GOOD(lit) expect_good(lit, sizeof(lit) - 1)
#define BAD(lit, words) expect_bad(lit, sizeof(lit) - 1, words)

static void test_good_documents(void **state)
{
    (void) state;
    GOOD("{}");
    GOOD("[]");
    GOOD("0");
    GOOD("-0.0e-0");
    GOOD(" \n\r\t[1 , 2.5E+10 , -3e-7 , true , false , null , \"x\" ] ");
    GOOD("\"\"");
    GOOD("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uFFFF\\uabCD\\ud83d\\ude00\"");
    GOOD("\"\x7f \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
    GOOD("{\"\":{\"a\":[{}]},\"a\":1,\"a\":2}");
    GOOD("{\"a\" : \"b\"\n}");
}

static void test_bad_documents(void **state)
{
    (void) state;
    BAD("", "empty");
    BAD(" \n", "empty");
    BAD("{\"a\":truu}", "unexpected character at byte 6");
    BAD("{\"a\":1}x", "unexpected text after the document at byte 8");
    BAD("{\"a\":1} {}", "after the document");
    BAD("{\"a\":01}", "bad number at byte 6");
    BAD("nul", "unexpected character");
    BAD("nulll", "unexpected character at byte 5");
    BAD("True", NULL);
    BAD("truefalse", NULL);
    BAD("\"a\"b", NULL);
    BAD("\"a\" \"b\"", "after the document");
    BAD("1 2", NULL);
    BAD("-", "bad number");
    BAD("+1", NULL);
    BAD(".5", NULL);
    BAD("1.", "bad number");
    BAD("1.e5", "bad number");
    BAD("1e", "bad number");
    BAD("1e+", "bad number");
    BAD("-01", "bad number");
    BAD("0x10", NULL);
    BAD("1f", NULL);
    BAD("NaN", NULL);
    BAD("Infinity", NULL);
    BAD("[1,]", "unexpected character");
    BAD("[,1]", NULL);
    BAD("[1 2]", NULL);
    BAD("[1:2]", "expected ',' or ']'");
    BAD("[1}", "expected ',' or ']'");
    BAD("[", NULL);
    BAD("[1", "expected ',' or ']'");
    BAD("[1,", "unexpected end");
    BAD("]", NULL);
    BAD("{", "expected a name in quotes");
    BAD("}", NULL);
    BAD("{\"a\"", "expected ':'");
    BAD("{\"a\":", "unexpected end");
    BAD("{\"a\":1", "expected ',' or '}'");
    BAD("{\"a\":1,", "expected a name in quotes");
    BAD("{\"a\":1,}", "expected a name in quotes");
    BAD("{\"a\" 1}", "expected ':'");
    BAD("{\"a\"x:1}", NULL);
    BAD("{a:1}", "expected a name in quotes");
    BAD("{1:1}", "expected a name in quotes");
    BAD("{\"a\":1]", "expected ',' or '}'");
    BAD("{\"a\":1 \"b\":2}", "expected ',' or '}'");
    BAD("{'a':1}", NULL);
    BAD("//x\n1", NULL);
    BAD("\xef\xbb\xbf{}", NULL); /* a byte order mark */
    BAD("[1\f]", NULL);
    BAD("[1\x1a]", NULL);
    BAD("[1\0]", NULL);
    BAD("1\0", NULL);
    BAD("\0", NULL);
    BAD("{}\0", NULL);
}

static void test_bad_strings(void **state)
{
    (void) state;
    BAD("\"", "without an end");
    BAD("\"abc", "without an end");
    BAD("\"abc\\\"", "without an end");
    BAD("{\"a\":\"b}", "without an end");
    BAD("\"a\nb\"", "control character");
    BAD("\"\x01\"", "control character");
    BAD("\"\\x\"", "bad escape at byte 2");
    BAD("\"\\\"", NULL);
    BAD("\"\\u\"", "bad \\u escape at byte 2");
    BAD("\"\\u12\"", "bad \\u escape");
    BAD("\"\\u12g4\"", "bad \\u escape");
    BAD("\"\\ud83d\"", "lone surrogate at byte 2");
    BAD("\"\\ude00\"", "lone surrogate");
    BAD("\"\\ud83dx\"", "lone surrogate");
    BAD("\"\\ud83d\\n\"", "lone surrogate");
    BAD("\"\\ud83d\\u0041\"", "lone surrogate");
    BAD("\"\\ud83d\\ud83d\\ude00\"", "lone surrogate");
    BAD("\"\\ud83d\\u\"", "lone surrogate");
    BAD("{\"\\x\":1}", "bad escape");
    BAD("\"\xff\"", "UTF-8");
    BAD("\"\xc3\"", "UTF-8");
    BAD("\"\xed\xa0\x80\"", "UTF-8"); /* a surrogate as UTF-8 */
    BAD("\"\xc0\x80\"", "UTF-8");
    BAD("\"\xf4\x90\x80\x80\"", "UTF-8");
    BAD("\xc3\xa9", NULL);
}

static void nested(size_t levels, const char *open, const char *shut, struct buf *out)
{
    buf_clear(out);
    for (size_t i = 0; i < levels; i++) {
        buf_add_z(out, open);
    }
    for (size_t i = 0; i < levels; i++) {
        buf_add_z(out, i == 0 && *open == '{' ? "1}" : shut);
    }
}

static void test_depth(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf text = {0};
    static const size_t good[] = {1, 1000, DOCUMENT_DEPTH_MAX};
    static const size_t bad[] = {DOCUMENT_DEPTH_MAX + 1, 100000};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        nested(good[i], "[", "]", &text);
        expect_good((const char *) text.p, text.n);
        nested(good[i], "{\"a\":", "}", &text);
        expect_good((const char *) text.p, text.n);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        nested(bad[i], "[", "]", &text);
        expect_bad((const char *) text.p, text.n, "nested deeper than 1024 levels");
        nested(bad[i], "{\"a\":", "}", &text);
        expect_bad((const char *) text.p, text.n, "nested deeper than 1024 levels");
    }
    expect_good("[]", 2);
}

/* Every beginning of a document is refused, whatever lies behind it in memory. */
static void test_every_cut(void **state)
{
    (void) state;
    static const char text[] =
        "{\"name\":\"v\\u00e9\\ud83d\\ude00\",\"list\":[1,-2.5e+3,true,false,null,{}],"
        "\"deep\":{\"deeper\":[[\"x\"],[]]},\"\\u0061b\":\"\xe2\x82\xac\"}";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        expect_bad(text, n, NULL);
    }
    expect_good(text, sizeof text - 1);
}

/* Strings of every length at every place, so that each way through the eight-byte scan is taken. */
static void test_string_lengths(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf text = {0};
    struct fields f;
    struct cell cells[2];
    struct error err;
    fields_init(&f);
    fields_add(&f, 0, STR_LIT("s"));
    fields_seal(&f);
    for (size_t n = 0; n < 200; n++) {
        for (size_t escaped = 0; escaped <= n; escaped += 1 + n / 8) {
            buf_clear(&text);
            buf_fill(&text, ' ', n % 9);
            buf_add_z(&text, "{\"s\":\"");
            buf_fill(&text, 'a', escaped);
            buf_add_z(&text, escaped < n ? "\\\\" : "");
            buf_fill(&text, 'b', escaped < n ? n - escaped - 1 : 0);
            buf_add_z(&text, "\"}");
            assert_true(document_read(document, buf_str(&text), &f, cells, &err));
            assert_int_equal(cells[1].kind, CELL_STRING);
            assert_int_equal(cells[1].text.n, n);
            for (size_t i = 0; i < n; i++) {
                assert_int_equal(cells[1].text.p[i], i < escaped ? 'a' : i == escaped ? '\\' : 'b');
            }
        }
    }
    fields_done(&f);
}

static void assert_cell(const struct cell *c, enum cell_kind kind, const char *text)
{
    assert_int_equal(c->kind, kind);
    if (!str_eq_z(c->text, text)) {
        print_error("got %.*s, want %s\n", (int) c->text.n, c->text.p, text);
        fail();
    }
}

/* a, a.b, a.b.c, x, and a name with escapes in the document. */
enum { ROOT, A, AB, ABC, X, E, NODES };

static void make_fields(struct fields *f)
{
    fields_init(f);
    assert_int_equal(fields_add(f, ROOT, STR_LIT("a")), A);
    assert_int_equal(fields_add(f, A, STR_LIT("b")), AB);
    assert_int_equal(fields_add(f, AB, STR_LIT("c")), ABC);
    assert_int_equal(fields_add(f, ROOT, STR_LIT("x")), X);
    assert_int_equal(fields_add(f, ROOT, STR_LIT("\xc3\xa9 long name")), E);
    assert_int_equal(fields_add(f, ROOT, STR_LIT("a")), A);
    fields_seal(f);
}

static void read_cells(const struct fields *f, const char *text, struct cell *cells)
{
    struct error err;

    if (!document_read(document, str_of(text), f, cells, &err)) {
        print_error("%s: %s\n", text, err.text);
        fail();
    }
}

static void test_fields_at_all_levels(void **state)
{
    (void) state;
    struct fields f;
    struct cell cells[NODES];
    make_fields(&f);
    read_cells(&f,
               " {\"x\":-1.50,\"a\" : {\"n\":[{\"c\":9}], \"b\": {\"c\" : \"\\u0041\"} } ,"
               "\"\\u00e9 long\\u0020name\":true}\n",
               cells);
    assert_cell(&cells[A], CELL_JSON, "{\"n\":[{\"c\":9}], \"b\": {\"c\" : \"\\u0041\"} }");
    assert_cell(&cells[AB], CELL_JSON, "{\"c\" : \"\\u0041\"}");
    assert_cell(&cells[ABC], CELL_STRING, "A");
    assert_true(str_eq_z(cells[ABC].raw, "\"\\u0041\""));
    assert_cell(&cells[X], CELL_NUMBER, "-1.50");
    assert_int_equal(cells[E].kind, CELL_BOOL);
    assert_true(cells[E].truth);
    assert_int_equal(cells[ROOT].kind, CELL_JSON);
    assert_int_equal(cells[ROOT].text.p[cells[ROOT].text.n - 1], '}');
    fields_done(&f);
}

static void test_what_is_lacking(void **state)
{
    (void) state;
    struct fields f;
    struct cell cells[NODES];
    make_fields(&f);
    read_cells(&f, "{\"b\":{\"c\":1},\"a\":[{\"b\":1}],\"x\":null,\"A\":2,\"aa\":3,\"\":4}", cells);
    assert_cell(&cells[A], CELL_JSON, "[{\"b\":1}]");
    assert_int_equal(cells[AB].kind, CELL_ABSENT);
    assert_int_equal(cells[ABC].kind, CELL_ABSENT);
    assert_int_equal(cells[X].kind, CELL_NULL);
    assert_int_equal(cells[E].kind, CELL_ABSENT);
    read_cells(&f, "5", cells);
    assert_cell(&cells[ROOT], CELL_NUMBER, "5");
    assert_int_equal(cells[A].kind, CELL_ABSENT);
    assert_int_equal(cells[X].kind, CELL_ABSENT);
    fields_done(&f);
}

static void test_the_last_of_equal_names_wins(void **state)
{
    (void) state;
    struct fields f;
    struct cell cells[NODES];
    make_fields(&f);
    read_cells(&f, "{\"x\":1,\"x\":\"2\",\"x\":false}", cells);
    assert_int_equal(cells[X].kind, CELL_BOOL);
    read_cells(&f, "{\"a\":{\"b\":{\"c\":1}},\"x\":2,\"a\":{\"b\":{}}}", cells);
    assert_cell(&cells[AB], CELL_JSON, "{}");
    assert_int_equal(cells[ABC].kind, CELL_ABSENT);
    assert_cell(&cells[X], CELL_NUMBER, "2");
    read_cells(&f, "{\"a\":{\"b\":{\"c\":1}},\"\\u0061\":7}", cells);
    assert_cell(&cells[A], CELL_NUMBER, "7");
    assert_int_equal(cells[AB].kind, CELL_ABSENT);
    assert_int_equal(cells[ABC].kind, CELL_ABSENT);
    fields_done(&f);
}

static void test_many_names(void **state)
{
    (void) state;
    enum { COUNT = 500 };
    static struct cell cells[COUNT + 1];
    _cleanup_buf_ struct buf text = {0};
    struct fields f;
    struct error err;
    char name[40];
    fields_init(&f);
    buf_add_u8(&text, '{');
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "%.*s%d", i % 20, "abcdefghijklmnopqrst", i);
        assert_int_equal(fields_add(&f, 0, str_of(name)), i + 1);
        buf_printf(&text, "\"%s\":%d,\"%sx\":0,", name, i, name);
    }
    fields_seal(&f);
    buf_add_z(&text, "\"end\":[]}");
    assert_true(document_read(document, buf_str(&text), &f, cells, &err));
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "%d", i);
        assert_cell(&cells[i + 1], CELL_NUMBER, name);
    }
    fields_done(&f);
}

static void test_below(void **state)
{
    (void) state;
    struct fields f;
    make_fields(&f);
    assert_true(fields_below(&f, ABC, A));
    assert_true(fields_below(&f, ABC, ROOT));
    assert_true(fields_below(&f, X, ROOT));
    assert_false(fields_below(&f, X, A));
    assert_false(fields_below(&f, A, A));
    assert_false(fields_below(&f, A, ABC));
    fields_done(&f);
}

static void test_odd_documents_are_noticed(void **state)
{
    (void) state;
    static const char *const plain[] = {"{\"a\":1.5e10}", "\"\\\\u0000\"", "[\"\\u0001\"]",
                                        "1e-999"};
    static const char *const odd[] = {"\"\\u0000\"", "{\"\\u0000\":1}", "[1e9999]", "[1e-0001]"};
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
        expect_good(plain[i], strlen(plain[i]));
        assert_false(document_is_odd(document));
    }
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        expect_good(odd[i], strlen(odd[i]));
        assert_true(document_is_odd(document));
    }
    _cleanup_buf_ struct buf digits = {0};
    buf_fill(&digits, '7', 20000);
    expect_good((const char *) digits.p, digits.n);
    assert_true(document_is_odd(document));
}

static void test_large_documents(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf text = {0};
    buf_add_z(&text, "[\"");
    buf_fill(&text, 'x', 3000000);
    buf_add_z(&text, "\"");
    for (int i = 0; i < 300000; i++) {
        buf_add_z(&text, ",\"\\n\"");
    }
    buf_add_z(&text, "]");
    expect_good((const char *) text.p, text.n);
    expect_bad((const char *) text.p, text.n - 1, NULL);
    expect_good("1", 1);
}

/* ---- reading in place ---- */

/* The document from everywhere up to the end of a page, with a page behind it that cannot be read.
 */
static void test_at_the_end_of_a_page(void **state)
{
    (void) state;
    static const char text[] = "{\"x\":\"\\u00e9\",\"a\":{\"b\":[1,true,\"abc\"]},\"other\":12}";
    size_t page = (size_t) sysconf(_SC_PAGESIZE);
    size_t n = sizeof text - 1;
    struct fields f;
    struct cell cells[NODES];
    struct error err;
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
    make_fields(&f);
    for (size_t behind = 0; behind < 3 * JSON_PADDING; behind++) {
        char *p = pages + page - behind - n;
        memset(pages, '"', page);
        memcpy(p, text, n);
        assert_true(document_read(document, (struct str){.p = p, .n = n}, &f, cells, &err));
        assert_cell(&cells[X], CELL_STRING, "\xc3\xa9");
        assert_cell(&cells[AB], CELL_JSON, "[1,true,\"abc\"]");
    }
    fields_done(&f);
    munmap(pages, 2 * page);
}

/* What lies behind a document is no part of it, however well it would fit. */
static void test_what_lies_behind(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        const char *behind;
        const char *fault; /* NULL: the text is good */
    } cases[] = {
        {"{\"a\":{}", ",\"b\":1}", "expected ',' or '}' at byte 8"},
        {"{\"a\":{}", "}", "expected ',' or '}' at byte 8"},
        {"[[]", "]", "expected ',' or ']' at byte 4"},
        {"[{}", ",1]", "expected ',' or ']' at byte 4"},
        {"[\"a]", "\"]", "without an end"},
        {"{\"a}", "\":1}", "without an end"},
        {"[1", "2]", "expected ',' or ']' at byte 3"},
        {"[1]", "]", NULL},
        {"[1]", "5", NULL},
        {"{\"a\":1}", "e5}", NULL},
        {"{\"a\":\"b\"}", "\\\"", NULL},
        {"12", "34", NULL},
        {"[12]", "34", NULL},
        {"true", "x", NULL},
        {"nul", "l", "unexpected character at byte 1"},
        {"{\"a\":", "1}", "unexpected end at byte 6"},
        {"{\"a\":1,", "\"b\":1}", "expected a name in quotes at byte 8"},
        {"{\"a\"", ":1}", "expected ':' at byte 5"},
    };
    char text[128];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t n = strlen(cases[i].text);
        snprintf(text, sizeof text, "%s%s", cases[i].text, cases[i].behind);
        if (cases[i].fault != NULL) {
            expect_bad(text, n, cases[i].fault);
        } else {
            expect_good(text, n);
        }
    }
}

/* ---- names in the order of the last document ---- */

static void test_names_that_need_escapes(void **state)
{
    (void) state;
    struct fields f;
    struct cell cells[5];
    struct error err;
    fields_init(&f);
    fields_add(&f, 0, STR_LIT("a\"b"));
    fields_add(&f, 0, STR_LIT("a\\n"));
    fields_add(&f, 0, STR_LIT("\n"));
    fields_add(&f, 0, STR_LIT(""));
    fields_seal(&f);
    for (int round = 0; round < 3; round++) {
        read_cells(&f, "{\"a\\\"b\":1,\"a\\\\n\":2,\"\\n\":3,\"\":4,\"a\\n\":5}", cells);
        assert_cell(&cells[1], CELL_NUMBER, "1");
        assert_cell(&cells[2], CELL_NUMBER, "2");
        assert_cell(&cells[3], CELL_NUMBER, "3");
        assert_cell(&cells[4], CELL_NUMBER, "4");
        assert_false(document_read(document, STR_LIT("{\"a\"b\":\"1}"), &f, cells, &err));
    }
    fields_done(&f);
}

/* Names around the lengths at which they are compared in another way, or not guessed at all. */
static void test_names_of_all_lengths(void **state)
{
    (void) state;
    enum { LONGEST = 80 };
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "abcdefghijklmnopqrstuvwxyz";
    static struct cell cells[LONGEST + 1];
    _cleanup_buf_ struct buf text = {0};
    struct fields f;
    struct error err;
    fields_init(&f);
    for (size_t n = 1; n <= LONGEST; n++) {
        assert_int_equal(fields_add(&f, 0, (struct str){.p = letters, .n = n}), n);
    }
    fields_seal(&f);
    for (size_t changed = 0; changed <= LONGEST; changed++) {
        buf_clear(&text);
        for (size_t n = 1; n <= LONGEST; n++) {
            size_t begin = text.n;
            buf_printf(&text, "%c\"%.*s\":%zu", n == 1 ? '{' : ',', (int) n, letters, n);
            if (n == changed) {
                text.p[begin + 1 + n] = '!'; /* the last letter */
            }
        }
        buf_add_z(&text, "}");
        assert_true(document_read(document, buf_str(&text), &f, cells, &err));
        for (size_t n = 1; n <= LONGEST; n++) {
            char want[16];
            snprintf(want, sizeof want, "%zu", n);
            if (n == changed) {
                assert_int_equal(cells[n].kind, CELL_ABSENT);
            } else {
                assert_cell(&cells[n], CELL_NUMBER, want);
            }
        }
    }
    fields_done(&f);
}

static void random_value(uint64_t *random, struct buf *out, int depth);

/* Members in any order, some of them again, some of them unwanted; with and without white space. */
static void random_object(uint64_t *random, struct buf *out, int depth)
{
    static const char *const names[] = {"a",       "b", "c", "x",   "\xc3\xa9 long name",
                                        "\\u0061", "n", "",  "a\\t"};
    static const char *const gaps[] = {"", "", "", " ", "\n\t"};
    size_t count = kit_random(random) % 6;

    buf_add_u8(out, '{');
    for (size_t i = 0; i < count; i++) {
        uint64_t x = kit_random(random);
        buf_printf(out, "%s%s\"%s\"%s:%s", i > 0 ? "," : "", gaps[x % 5], names[(x >> 8) % 9],
                   gaps[(x >> 16) % 5], gaps[(x >> 24) % 5]);
        random_value(random, out, depth + 1);
        buf_add_z(out, gaps[(x >> 32) % 5]);
    }
    buf_add_u8(out, '}');
}

static void random_value(uint64_t *random, struct buf *out, int depth)
{
    static const char *const scalars[] = {"1",    "-20",  "3.25",    "1e3",     "true", "false",
                                          "null", "\"\"", "\"abc\"", "\"\\n\"", "[]",   "[{},2]"};
    uint64_t x = kit_random(random);

    if (depth < 4 && x % 3 == 0) {
        random_object(random, out, depth);
    } else {
        buf_add_z(out, scalars[(x >> 8) % ARRAY_LEN(scalars)]);
    }
}

static bool same_cell(const struct cell *a, const struct cell *b)
{
    if (a->kind != b->kind) {
        return false;
    }
    switch (a->kind) {
    case CELL_BOOL:
        return a->truth == b->truth;
    case CELL_NUMBER:
        return str_eq(a->text, b->text) && a->is_short == b->is_short &&
               (!a->is_short || (a->number == b->number && a->scale == b->scale));
    case CELL_STRING:
        return str_eq(a->text, b->text) && str_eq(a->raw, b->raw);
    case CELL_JSON:
        return str_eq(a->text, b->text);
    case CELL_ABSENT:
    case CELL_NULL:
    case CELL_INT:
    case CELL_BYTES:
        break;
    }
    return true;
}

/*
 * A document that has read many others says the same as a new one, which looks every name up; also
 * of texts that are cut, and when two trees of names take turns.
 */
static void test_other_documents_change_nothing(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf text = {0};
    struct cell got[NODES];
    struct cell want[NODES];
    struct fields f[2];
    uint64_t random = 3;
    make_fields(&f[0]);
    fields_init(&f[1]);
    fields_add(&f[1], 0, STR_LIT("x"));
    fields_add(&f[1], 1, STR_LIT("a"));
    fields_seal(&f[1]);
    for (int round = 0; round < 20000; round++) {
        struct error err = {.text = ""};
        struct error want_err = {.text = ""};
        const struct fields *tree = &f[kit_random(&random) % 8 == 0 ? 1 : 0];
        struct document *fresh = document_new();
        buf_clear(&text);
        random_object(&random, &text, 0);
        struct str s = buf_str(&text);
        s.n -= round % 5 == 0 ? kit_random(&random) % s.n : 0;
        bool ok = document_read(fresh, s, tree, want, &want_err);
        assert_int_equal(document_read(document, s, tree, got, &err), ok);
        kit_assert_text(err.text, want_err.text);
        for (size_t i = 0; ok && i < tree->count; i++) {
            if (!same_cell(&got[i], &want[i])) {
                print_error("%.*s: node %zu\n", STR_ARG(s), i);
                fail();
            }
        }
        document_free(fresh);
    }
    fields_done(&f[0]);
    fields_done(&f[1]);
}

/* ---- numbers worked out on the way ---- */

static void expect_short(const char *text, int64_t number, int scale)
{
    struct fields f;
    struct cell c;

    fields_init(&f);
    fields_seal(&f);
    read_cells(&f, text, &c);
    assert_cell(&c, CELL_NUMBER, text);
    assert_true(c.is_short);
    assert_int_equal(c.number, number);
    assert_int_equal(c.scale, scale);
    fields_done(&f);
}

static void test_short_numbers(void **state)
{
    (void) state;
    static const char *const others[] = {
        "-0", "-0.00", "1000000000000000000", "0.000000000000000000", "1e0", "1E5", "-1e-5"};
    struct fields f;
    struct cell c;
    expect_short("0", 0, 0);
    expect_short("0.00", 0, 2);
    expect_short("-7", -7, 0);
    expect_short("12345678", 12345678, 0);
    expect_short("123456789", 123456789, 0);
    expect_short("1234567812345678", 1234567812345678, 0);
    expect_short("999999999999999999", 999999999999999999, 0);
    expect_short("-999999999999999999", -999999999999999999, 0);
    expect_short("-0.01", -1, 2);
    expect_short("1.50", 150, 2);
    expect_short("0.00000000000000001", 1, 17);
    expect_short("12345678.1234567891", 123456781234567891, 10);
    fields_init(&f);
    fields_seal(&f);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        read_cells(&f, others[i], &c);
        assert_cell(&c, CELL_NUMBER, others[i]);
        assert_false(c.is_short);
    }
    fields_done(&f);
}

/* ---- names that follow a policy ---- */

/* user_id and n are columns; userId and user_id.part are paths of users. */
struct policy_bench {
    struct fields f;
    struct cell cells[6];
    struct error err;
};

enum { P_ID = 1, P_N = 2, P_USER_PATH = 3, P_PARENT = 4, P_PART = 5 };

static void policy_init(struct policy_bench *b, enum name_policy policy, bool with_paths)
{
    *b = (struct policy_bench){0};
    fields_init(&b->f);
    b->f.policy = policy;
    assert_int_equal(fields_add_row(&b->f, 0, STR_LIT("user_id")), P_ID);
    assert_int_equal(fields_add_row(&b->f, 0, STR_LIT("n")), P_N);
    assert_int_equal(fields_add_row(&b->f, 0, STR_LIT("n")), P_N);
    if (with_paths) {
        assert_int_equal(fields_add(&b->f, 0, STR_LIT("userId")), P_USER_PATH);
        assert_int_equal(fields_add(&b->f, 0, STR_LIT("user_id")), P_PARENT);
        assert_int_equal(fields_add(&b->f, P_PARENT, STR_LIT("part")), P_PART);
    }
    fields_seal(&b->f);
}

static bool policy_read(struct policy_bench *b, const char *text)
{
    return document_read(document, str_of(text), &b->f, b->cells, &b->err);
}

static void expect_cell_text(const struct policy_bench *b, uint32_t node, const char *want)
{
    const struct cell *c = &b->cells[node];

    if (want == NULL) {
        assert_int_equal(c->kind, CELL_ABSENT);
    } else {
        assert_true(c->kind > CELL_NULL);
        kit_assert_text(excerpt_text(&(struct excerpt){0}, c->text), want);
    }
}

static void expect_two_names(struct policy_bench *b, const char *text, const char *words)
{
    assert_false(policy_read(b, text));
    assert_int_equal(b->err.class, ERROR_RECORD);
    assert_string_equal(b->err.sqlstate, "42701");
    assert_true(*b->err.hint);
    kit_assert_text(b->err.text, words);
}

static void test_names_by_policy(void **state)
{
    (void) state;
    struct policy_bench b;
    policy_init(&b, NAMES_SNAKE_CASE, false);
    for (int i = 0; i < 3; i++) { /* the second time with a guess */
        assert_true(policy_read(&b, "{\"userId\": 1, \"N\": 2, \"x\": {\"userId\": 9}}"));
        expect_cell_text(&b, P_ID, "1");
        expect_cell_text(&b, P_N, "2");
        assert_true(policy_read(&b, "{\"n\":3,\"user\\u0049d\":[1,{\"n\":5}]}"));
        expect_cell_text(&b, P_ID, "[1,{\"n\":5}]");
        expect_cell_text(&b, P_N, "3");
        assert_true(policy_read(&b, "{\"user_id\":4,\"userid\":5}"));
        expect_cell_text(&b, P_ID, "4");
        expect_cell_text(&b, P_N, NULL);
    }
    fields_done(&b.f);
}

static void test_the_last_of_one_name_wins_with_a_policy_too(void **state)
{
    (void) state;
    struct policy_bench b;
    policy_init(&b, NAMES_SNAKE_CASE, false);
    assert_true(policy_read(&b, "{\"userId\":1,\"userId\":2,\"user\\u0049d\":3}"));
    expect_cell_text(&b, P_ID, "3");
    assert_true(policy_read(&b, "{\"user_id\":1,\"n\":1,\"user_id\":2,\"user\\u005fid\":3}"));
    expect_cell_text(&b, P_ID, "3");
    fields_done(&b.f);
}

static void test_two_names_of_one_column(void **state)
{
    (void) state;
    struct policy_bench b;
    policy_init(&b, NAMES_SNAKE_CASE, false);
    for (int i = 0; i < 2; i++) {
        expect_two_names(&b, "{\"userId\":1,\"user_id\":2}",
                         "'userId' and 'user_id' both meet column 'user_id'");
        expect_two_names(&b, "{\"user_id\":null,\"userId\":2}",
                         "'user_id' and 'userId' both meet column 'user_id'");
        expect_two_names(&b, "{\"userId\":{},\"n\":1,\"UserId\":2}",
                         "'userId' and 'UserId' both meet column 'user_id'");
        expect_two_names(&b, "{\"user-id\":1,\"user-id\":1,\"user_id\":2}",
                         "'user-id' and 'user_id' both meet column 'user_id'");
    }
    fields_done(&b.f);
}

static void test_paths_of_users_are_exact(void **state)
{
    (void) state;
    struct policy_bench b;
    policy_init(&b, NAMES_SNAKE_CASE, true);
    for (int i = 0; i < 3; i++) {
        assert_true(policy_read(&b, "{\"userId\": {\"part\": 1}}"));
        expect_cell_text(&b, P_ID, "{\"part\": 1}");
        expect_cell_text(&b, P_USER_PATH, "{\"part\": 1}");
        expect_cell_text(&b, P_PARENT, NULL);
        expect_cell_text(&b, P_PART, NULL);
        assert_true(policy_read(&b, "{\"user_id\": {\"part\": 1}, \"n\": 2}"));
        expect_cell_text(&b, P_ID, "{\"part\": 1}");
        expect_cell_text(&b, P_USER_PATH, NULL);
        expect_cell_text(&b, P_PARENT, "{\"part\": 1}");
        expect_cell_text(&b, P_PART, "1");
        assert_true(policy_read(&b, "{\"UserID\": 7}"));
        expect_cell_text(&b, P_ID, "7");
        expect_cell_text(&b, P_USER_PATH, NULL);
        expect_cell_text(&b, P_PARENT, NULL);
        expect_two_names(&b, "{\"userId\":1,\"user_id\":2}",
                         "'userId' and 'user_id' both meet column 'user_id'");
        expect_two_names(&b, "{\"user_id\":1,\"userId\":2}",
                         "'user_id' and 'userId' both meet column 'user_id'");
        assert_true(policy_read(&b, "{\"userId\":1,\"userId\":[2]}"));
        expect_cell_text(&b, P_ID, "[2]");
        expect_cell_text(&b, P_USER_PATH, "[2]");
    }
    fields_done(&b.f);
}

static void test_names_in_lower_case(void **state)
{
    (void) state;
    struct policy_bench b;
    policy_init(&b, NAMES_LOWER, false);
    assert_true(policy_read(&b, "{\"USER_ID\":1,\"N\":2,\"userId\":3}"));
    expect_cell_text(&b, P_ID, "1");
    expect_cell_text(&b, P_N, "2");
    fields_done(&b.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_documents),
        cmocka_unit_test(test_bad_documents),
        cmocka_unit_test(test_bad_strings),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_string_lengths),
        cmocka_unit_test(test_fields_at_all_levels),
        cmocka_unit_test(test_what_is_lacking),
        cmocka_unit_test(test_the_last_of_equal_names_wins),
        cmocka_unit_test(test_names_by_policy),
        cmocka_unit_test(test_the_last_of_one_name_wins_with_a_policy_too),
        cmocka_unit_test(test_two_names_of_one_column),
        cmocka_unit_test(test_paths_of_users_are_exact),
        cmocka_unit_test(test_names_in_lower_case),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_odd_documents_are_noticed),
        cmocka_unit_test(test_large_documents),
        cmocka_unit_test(test_at_the_end_of_a_page),
        cmocka_unit_test(test_what_lies_behind),
        cmocka_unit_test(test_names_that_need_escapes),
        cmocka_unit_test(test_names_of_all_lengths),
        cmocka_unit_test(test_other_documents_change_nothing),
        cmocka_unit_test(test_short_numbers),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
