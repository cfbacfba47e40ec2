/* avro_format.c, with avro_plan.c and avro_walk.c: bytes into cells, and JSON of what has parts. */
#include "row/format/avro_kit.h"

#include <math.h>

#define ORDER                                                                                      \
    "{'type':'record','name':'Order','namespace':'shop','fields':["                                \
    "{'name':'id','type':'long'},"                                                                 \
    "{'name':'n','type':'int'},"                                                                   \
    "{'name':'ok','type':'boolean'},"                                                              \
    "{'name':'f','type':'float'},"                                                                 \
    "{'name':'d','type':'double'},"                                                                \
    "{'name':'s','type':['null','string']},"                                                       \
    "{'name':'b','type':['bytes','null']},"                                                        \
    "{'name':'x','type':{'type':'fixed','name':'X','size':2}},"                                    \
    "{'name':'e','type':{'type':'enum','name':'E','symbols':['RED','BLUE']}},"                     \
    "{'name':'nothing','type':'null'},"                                                            \
    "{'name':'at','type':{'type':'long','logicalType':'timestamp-micros'}},"                       \
    "{'name':'who','type':{'type':'record','name':'Who','fields':["                                \
    "{'name':'name','type':'string'},{'name':'age','type':['null','int']}]}}]}"

static void put_order(struct avro_rig *r)
{
    const float f = 0.1F;
    const double d = 12.5;

    avro_put_long(r, INT64_MIN);
    avro_put_long(r, -3);
    avro_put(r, "\1", 1);
    avro_put(r, &f, sizeof f);
    avro_put(r, &d, sizeof d);
    avro_put_long(r, 1);
    avro_put_text(r, "caf\xC3\xA9 is long enough");
    avro_put_long(r, 0);
    avro_put_long(r, 3);
    avro_put(r, "\0\1\xFF", 3);
    avro_put(r, "\xAB\xCD", 2);
    avro_put_long(r, 1);
    avro_put_long(r, 1709210096789012);
    avro_put_text(r, "Ada");
    avro_put_long(r, 1);
    avro_put_long(r, 36);
}

#define ORDER_JSON                                                                                 \
    "{\"id\":-9223372036854775808,\"n\":-3,\"ok\":true,\"f\":0.1,\"d\":12.5,"                      \
    "\"s\":\"caf\xC3\xA9 is long enough\",\"b\":\"AAH/\",\"x\":\"q80=\",\"e\":\"BLUE\","           \
    "\"nothing\":null,\"at\":\"2024-02-29T12:34:56.789012Z\","                                     \
    "\"who\":{\"name\":\"Ada\",\"age\":36}}"

static void test_each_type_into_its_cell(void **state)
{
    (void) state;
    struct avro_rig r;
    static const char *const paths[] = {"id", "n",        "ok",      "f",      "d",
                                        "s",  "b",        "x",       "e",      "nothing",
                                        "at", "who/name", "who/age", "no/such"};
    static const char *const want[] = {
        "int -9223372036854775808/0",
        "int -3/0",
        "true",
        "number 0.1",
        "number 12.5",
        "'caf\xC3\xA9 is long enough'",
        "bytes 3 00 01 ff",
        "bytes 2 ab cd",
        "'BLUE'",
        "null",
        "int 1709210096789012/3",
        "'Ada'",
        "int 36/0",
        "absent",
    };
    uint32_t nodes[ARRAY_LEN(paths)];

    avro_begin(&r, ORDER, NAMES_EXACT);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        nodes[i] = avro_want(&r, paths[i]);
    }
    put_order(&r);
    for (int again = 0; again < 2; again++) {
        char *block = avro_read(&r);
        for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
            avro_expect(&r, nodes[i], want[i]);
        }
        avro_expect(&r, 0, "{}");
        /* A string is borrowed and has no quotes; a float is short. */
        assert_null(r.cells[nodes[5]].raw.p);
        assert_true(r.cells[nodes[5]].text.p > block);
        assert_true(cell_is_short(&r.cells[nodes[4]]));
        assert_int_equal(r.cells[nodes[4]].number, 125);
        assert_int_equal(r.cells[nodes[4]].scale, 1);
        /* With which shape */
        assert_int_equal(format_node_shape(&r.s, nodes[10])->sense, SENSE_INSTANT);
        assert_int_equal(format_node_shape(&r.s, nodes[12])->kind, SHAPE_INT32);
        assert_int_equal(format_node_shape(&r.s, 0)->kind, SHAPE_RECORD);
        assert_null(format_node_shape(&r.s, nodes[9]));
        assert_null(format_node_shape(&r.s, nodes[13]));
        assert_null(format_node_shape(&r.s, 1000));
        free(block);
    }
    avro_done(&r);
}

static void test_the_whole_record_as_json(void **state)
{
    (void) state;
    struct avro_rig r;

    avro_begin(&r, ORDER, NAMES_EXACT);
    put_order(&r);
    char *block = avro_read(&r);
    avro_expect(&r, 0, ORDER_JSON);
    assert_false(r.s.is_odd);
    avro_done(&r);
    free(block);
}

/* A part, what is below it, and all of it, in one read. */
static void test_parts_beside_fields(void **state)
{
    (void) state;
    struct avro_rig r;

    avro_begin(&r, ORDER, NAMES_EXACT);
    uint32_t name = avro_want(&r, "who/name");
    uint32_t who = avro_want(&r, "who");
    avro_want(&r, "");
    put_order(&r);
    char *block = avro_read(&r);
    avro_expect(&r, name, "'Ada'");
    avro_expect(&r, who, "{\"name\":\"Ada\",\"age\":36}");
    avro_expect(&r, 0, ORDER_JSON);
    avro_done(&r);
    free(block);
}

static void test_cut_anywhere(void **state)
{
    (void) state;
    struct avro_rig r;
    char *block;

    for (int whole = 0; whole < 2; whole++) {
        avro_begin(&r, ORDER, NAMES_EXACT);
        avro_want(&r, "who/age");
        if (whole == 1) {
            avro_want(&r, "");
        }
        put_order(&r);
        for (size_t n = 0; n < r.bytes.n; n++) {
            assert_false(avro_try(&r, n, &block));
            assert_non_null(strstr(r.err.text, "the value is no Avro of 'shop.Order': "));
            free(block);
        }
        buf_add_u8(&r.bytes, 0);
        avro_expect_fault(&r, "the value is no Avro of 'shop.Order': 1 bytes are left over at "
                              "byte 69");
        avro_done(&r);
    }
}

static void test_null_and_tombstones(void **state)
{
    (void) state;
    struct avro_rig r;

    avro_begin(&r, "['null'," ORDER "]", NAMES_EXACT);
    uint32_t id = avro_want(&r, "id");
    avro_put_long(&r, 0);
    char *block = avro_read(&r);
    avro_expect(&r, 0, "null");
    avro_expect(&r, id, "absent");
    free(block);
    const struct format_input in = {
        .what = "value", .names = &r.f, .schema = r.schema, .shape = schema_root(r.schema, 0)};
    assert_true(format_of(FORMAT_AVRO)->read(&r.s, &in, r.cells, &r.err));
    avro_expect(&r, 0, "null");
    avro_expect(&r, id, "absent");
    buf_clear(&r.bytes);
    avro_put_long(&r, 1);
    put_order(&r);
    block = avro_read(&r);
    avro_expect(&r, id, "int -9223372036854775808/0");
    free(block);
    avro_done(&r);
}

static void test_nullable_values(void **state)
{
    (void) state;
    struct avro_rig r;

    avro_begin(&r,
               "{'type':'record','name':'R','fields':[{'name':'a','type':['null','int']},"
               "{'name':'b','type':['string','null']},{'name':'c','type':['null','int']}]}",
               NAMES_EXACT);
    uint32_t a = avro_want(&r, "a");
    uint32_t b = avro_want(&r, "b");
    uint32_t c = avro_want(&r, "c");
    avro_put(&r, "\x00\x02\x02\x0E", 4);
    char *block = avro_read(&r);
    avro_expect(&r, a, "null");
    avro_expect(&r, b, "null");
    avro_expect(&r, c, "int 7/0");
    assert_int_equal(format_node_shape(&r.s, c)->kind, SHAPE_INT32);
    assert_null(format_node_shape(&r.s, a));
    free(block);
    buf_clear(&r.bytes);
    avro_put(&r, "\x02\x0E\x04", 3);
    avro_expect_fault(&r, "the value is no Avro of 'R': branch number 2 of 2 at byte 3");
    avro_done(&r);
}

static void test_what_is_no_record(void **state)
{
    (void) state;
    struct avro_rig r;

    avro_begin(&r, "'string'", NAMES_EXACT);
    avro_want(&r, "id");
    avro_put_text(&r, "x");
    avro_expect_fault(&r, "the value is a string, not a record");
    r.any = true;
    char *block = avro_read(&r);
    avro_expect(&r, 0, "'x'");
    free(block);
    buf_add_u8(&r.bytes, 0);
    avro_expect_fault(&r, "the value is no Avro: 1 bytes are left over at byte 3");
    avro_done(&r);
    avro_begin(&r, "{'type':'array','items':'int'}", NAMES_EXACT);
    avro_want(&r, "id");
    avro_put_long(&r, 0);
    avro_expect_fault(&r, "the value is an array, not a record");
    avro_done(&r);
}

/* ---- unions ---- */

#define PAYLOAD                                                                                    \
    "{'type':'record','name':'E','fields':[{'name':'p','type':["                                   \
    "'null','long','string',"                                                                      \
    "{'type':'record','name':'shop.Order','fields':[{'name':'id','type':'int'},"                   \
    "{'name':'q','type':'string'}]},"                                                              \
    "{'type':'record','name':'shop.Bill','fields':[{'name':'id','type':'string'}]},"               \
    "{'type':'array','items':'int'}]},{'name':'last','type':'int'}]}"

static void test_unions_of_several(void **state)
{
    (void) state;
    struct avro_rig r;

    avro_begin(&r, PAYLOAD, NAMES_EXACT);
    uint32_t p = avro_want(&r, "p");
    uint32_t id = avro_want(&r, "p/id");
    uint32_t order = avro_want(&r, "p/shop.Order/id");
    uint32_t bill = avro_want(&r, "p/shop.Bill");
    uint32_t last = avro_want(&r, "last");
    static const char *const want[][4] = {
        {"null", "absent", "absent", "absent"},
        {"int 7/0", "absent", "absent", "absent"},
        {"'x'", "absent", "absent", "absent"},
        {"{\"id\":5,\"q\":\"y\"}", "int 5/0", "int 5/0", "absent"},
        {"{\"id\":\"B\"}", "'B'", "absent", "{\"id\":\"B\"}"},
        {"[1,2]", "absent", "absent", "absent"},
    };
    for (int branch = 0; branch < 6; branch++) {
        buf_clear(&r.bytes);
        avro_put_long(&r, branch);
        switch (branch) {
        case 1:
            avro_put_long(&r, 7);
            break;
        case 2:
            avro_put_text(&r, "x");
            break;
        case 3:
            avro_put_long(&r, 5);
            avro_put_text(&r, "y");
            break;
        case 4:
            avro_put_text(&r, "B");
            break;
        case 5:
            avro_put(&r, "\x04\x02\x04\x00", 4);
            break;
        default:
            break;
        }
        avro_put_long(&r, 99);
        char *block = avro_read(&r);
        avro_expect(&r, p, want[branch][0]);
        avro_expect(&r, id, want[branch][1]);
        avro_expect(&r, order, want[branch][2]);
        avro_expect(&r, bill, want[branch][3]);
        avro_expect(&r, last, "int 99/0");
        free(block);
    }
    buf_clear(&r.bytes);
    avro_put_long(&r, 6);
    avro_expect_fault(&r, "the value is no Avro of 'E': branch number 6 of 6 at byte 1");
    avro_put_long(&r, 6);
    r.bytes.p[0] = 1;
    avro_expect_fault(&r, "the value is no Avro of 'E': branch number -1 of 6 at byte 1");
    avro_done(&r);
}

static void test_a_branch_by_its_name(void **state)
{
    (void) state;
    struct avro_rig r;

    /* Of one record beside null; and a field of the same name comes first. */
    avro_begin(&r,
               "{'type':'record','name':'R','fields':[{'name':'a','type':['null',"
               "{'type':'record','name':'A','fields':[{'name':'i','type':'int'}]}]},"
               "{'name':'b','type':['null',"
               "{'type':'record','name':'B','fields':[{'name':'B','type':'int'}]}]}]}",
               NAMES_EXACT);
    uint32_t i = avro_want(&r, "a/A/i");
    uint32_t b = avro_want(&r, "b/B");
    avro_put(&r, "\x02\x0A\x02\x0C", 4);
    char *block = avro_read(&r);
    avro_expect(&r, i, "int 5/0");
    avro_expect(&r, b, "int 6/0");
    free(block);
    buf_clear(&r.bytes);
    avro_put(&r, "\x00\x00", 2);
    block = avro_read(&r);
    avro_expect(&r, i, "absent");
    avro_expect(&r, b, "absent");
    avro_expect(&r, r.f.nodes[b].parent, "null");
    free(block);
    avro_put(&r, "\x00", 1);
    r.bytes.p[0] = 4;
    avro_expect_fault(&r, "the value is no Avro of 'R': branch number 2 of 2 at byte 1");
    avro_done(&r);
}

/* ---- arrays and maps ---- */

#define TAGS                                                                                       \
    "{'type':'record','name':'T','fields':[{'name':'list','type':{'type':'array','items':"         \
    "'string'}},{'name':'map','type':{'type':'map','values':['null','int',"                        \
    "{'type':'record','name':'V','fields':[{'name':'v','type':'int'}]}]}}]}"

static void test_blocks(void **state)
{
    (void) state;
    struct avro_rig r;

    avro_begin(&r, TAGS, NAMES_EXACT);
    uint32_t list = avro_want(&r, "list");
    uint32_t map = avro_want(&r, "map");
    avro_put_long(&r, 1);
    avro_put_text(&r, "a\"");
    avro_put_long(&r, -2);
    avro_put_long(&r, 5);
    avro_put_text(&r, "b");
    avro_put_text(&r, "cd");
    avro_put_long(&r, 0);
    avro_put_long(&r, -1);
    avro_put_long(&r, 4);
    avro_put_text(&r, "k");
    avro_put_long(&r, 1);
    avro_put_long(&r, 8);
    avro_put_long(&r, 1);
    avro_put_text(&r, "z");
    avro_put_long(&r, 0);
    avro_put_long(&r, 0);
    char *block = avro_read(&r);
    avro_expect(&r, list, "[\"a\\\"\",\"b\",\"cd\"]");
    avro_expect(&r, map, "{\"k\":8,\"z\":null}");
    free(block);
    avro_done(&r);
}

static void test_paths_into_maps(void **state)
{
    (void) state;
    struct avro_rig r;

    avro_begin(&r, TAGS, NAMES_EXACT);
    uint32_t list = avro_want(&r, "list/x");
    uint32_t v = avro_want(&r, "map/k/v");
    uint32_t k = r.f.nodes[v].parent;
    uint32_t z = avro_want(&r, "map/z");
    uint32_t none = avro_want(&r, "map/none");
    uint32_t map = avro_want(&r, "map");
    avro_put_long(&r, 0);
    avro_put_long(&r, 4);
    avro_put_text(&r, "k");
    avro_put(&r, "\x04\x0C", 2);
    avro_put_text(&r, "a name that nothing wants");
    avro_put(&r, "\x02\x02", 2);
    avro_put_text(&r, "k");
    avro_put(&r, "\x02\x10", 2);
    avro_put_text(&r, "z");
    avro_put(&r, "\x00", 1);
    avro_put_long(&r, 0);
    char *block = avro_read(&r);
    avro_expect(&r, list, "absent");
    avro_expect(&r, r.f.nodes[list].parent, "[]");
    avro_expect(&r, v, "absent"); /* of two values of one key the last counts */
    avro_expect(&r, k, "int 8/0");
    avro_expect(&r, z, "null");
    avro_expect(&r, none, "absent");
    avro_expect(&r, map, "{\"k\":{\"v\":6},\"a name that nothing wants\":1,\"k\":8,\"z\":null}");
    free(block);
    for (size_t n = 0; n < r.bytes.n; n++) {
        assert_false(avro_try(&r, n, &block));
        free(block);
    }
    avro_done(&r);
}

static void test_an_array_beside_a_path(void **state)
{
    (void) state;
    struct avro_rig r;

    avro_begin(&r, TAGS, NAMES_EXACT);
    avro_want(&r, "list/x");
    uint32_t list = avro_want(&r, "list");
    avro_put_long(&r, 1);
    avro_put_text(&r, "a");
    avro_put_long(&r, 0);
    avro_put_long(&r, 0);
    char *block = avro_read(&r);
    avro_expect(&r, list, "[\"a\"]");
    free(block);
    avro_done(&r);
}

static void test_blocks_that_lie(void **state)
{
    (void) state;
    struct avro_rig r;
    static const struct {
        const char *bytes;
        size_t n;
        const char *want;
    } cases[] = {
        {"\x01\x02\x02\x61\x00\x00", 6, "a block whose length is wrong at byte 5"},
        {"\x01\x05", 2, "a block of -3 bytes where 0 are left at byte 1"},
        {"\x01\x10\x02", 3, "a block of 8 bytes where 1 are left at byte 1"},
        {"\x01", 1, "the end in the middle of a number at byte 2"},
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x00", 11,
         "a block without a number of items at byte 1"},
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 10, "a number of more than 64 bits at byte 1"},
        {"\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x02\x61", 12,
         "the end in the middle of a number at byte 13"},
        {"\x02\x03", 2, "a length of -2 where 0 bytes are left at byte 2"},
        {"\x02\x06\x61\x61", 4, "a length of 3 where 2 bytes are left at byte 2"},
        {"\x02\x04\xC3\x28\x00\x00", 6, "a string that is not valid UTF-8 at byte 3"},
        {"\x00\x02\x02\xFF\x00\x00", 6, "a string that is not valid UTF-8 at byte 4"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int below = 0; below < 2; below++) {
            char want[256];
            avro_begin(&r, TAGS, NAMES_EXACT);
            avro_want(&r, below == 1 ? "map/x" : "list");
            avro_put(&r, cases[i].bytes, cases[i].n);
            snprintf(want, sizeof want, "the value is no Avro of 'T': %s", cases[i].want);
            avro_expect_fault(&r, want);
            avro_done(&r);
        }
    }
}

/* A few bytes may promise any number of values that have none. */
static void test_bombs(void **state)
{
    (void) state;
    struct avro_rig r;
    static const char *const items[] = {
        "'null'",
        "{'type':'record','name':'N','fields':[]}",
        "{'type':'fixed','name':'N','size':0}",
    };

    for (size_t i = 0; i < ARRAY_LEN(items); i++) {
        for (int big = 0; big < 2; big++) {
            _cleanup_buf_ struct buf schema = {0};
            buf_printf(&schema, "{'type':'array','items':%s}", items[i]);
            avro_begin(&r, buf_cstr(&schema), NAMES_EXACT);
            r.any = true;
            avro_put_long(&r, big == 1 ? INT64_C(1) << 60 : 1000);
            avro_put_long(&r, 0);
            if (big == 0) {
                free(avro_read(&r));
            } else {
                avro_expect_fault(&r, "the value is no Avro: far more values than bytes at byte "
                                      "10");
            }
            avro_done(&r);
        }
    }
}

/* Records that double the number of values at each level, and have no bytes. */
static void test_a_bomb_of_records(void **state)
{
    (void) state;
    struct avro_rig r;
    _cleanup_buf_ struct buf schema = {0};

    for (int i = 0; i < 30; i++) {
        buf_printf(&schema, "{'type':'record','name':'R%d','fields':[{'name':'a','type':", i);
    }
    buf_add_z(&schema, "'null'");
    for (int i = 29; i >= 0; i--) {
        if (i < 29) {
            buf_printf(&schema, "},{'name':'b','type':'R%d'}]}", i + 1);
        } else {
            buf_add_z(&schema, "}]}");
        }
    }
    avro_begin(&r, buf_cstr(&schema), NAMES_EXACT);
    avro_expect_fault(&r, "the value is no Avro of 'R0': far more values than bytes at byte 1");
    avro_done(&r);
}

static void test_json_that_would_be_too_large(void **state)
{
    (void) state;
    struct avro_rig r;

    avro_begin(&r,
               "{'type':'array','items':{'type':'bytes','logicalType':'decimal','scale':16383}}",
               NAMES_EXACT);
    r.any = true;
    enum { COUNT = 5000 };
    avro_put_long(&r, COUNT);
    for (int i = 0; i < COUNT; i++) {
        avro_put(&r, "\x02\x01", 2);
    }
    avro_put_long(&r, 0);
    avro_expect_fault(&r, "the value is no Avro: its JSON would have more than 67428960 bytes");
    assert_string_equal(r.err.sqlstate, "54000");
    /* What grew is not kept. */
    buf_clear(&r.bytes);
    avro_put(&r, "\x02\x02\x01\x00", 4);
    char *block = avro_read(&r);
    assert_true(r.s.json.cap < 1 << 20);
    assert_true(r.s.is_odd);
    free(block);
    avro_done(&r);
}

static void test_recursion(void **state)
{
    (void) state;
    struct avro_rig r;

    avro_begin(&r,
               "{'type':'record','name':'L','fields':[{'name':'v','type':'int'},"
               "{'name':'next','type':['null','L']}]}",
               NAMES_EXACT);
    uint32_t third = avro_want(&r, "next/next/v");
    for (int i = 0; i < 1023; i++) {
        avro_put_long(&r, i);
        avro_put_long(&r, 1);
    }
    avro_put_long(&r, 1023);
    avro_put_long(&r, 0);
    char *block = avro_read(&r);
    avro_expect(&r, third, "int 2/0");
    free(block);
    avro_done(&r);

    avro_begin(&r,
               "{'type':'record','name':'L','fields':[{'name':'v','type':'int'},"
               "{'name':'next','type':['null','L']}]}",
               NAMES_EXACT);
    for (int i = 0; i < 1024; i++) {
        avro_put_long(&r, i);
        avro_put_long(&r, 1);
    }
    avro_put_long(&r, 1024);
    avro_put_long(&r, 0);
    avro_expect_fault(&r, "the value is no Avro of 'L': it is nested deeper than 1024 levels");
    assert_string_equal(r.err.sqlstate, "54001");
    avro_done(&r);

    /* One that has no end. */
    avro_begin(&r, "{'type':'record','name':'L','fields':[{'name':'l','type':'L'}]}", NAMES_EXACT);
    avro_want(&r, "l/l");
    avro_expect_fault(&r, "the value is no Avro of 'L': it is nested deeper than 1024 levels");
    avro_done(&r);
}

/* ---- single values ---- */

static void test_primitives_that_are_none(void **state)
{
    (void) state;
    struct avro_rig r;
    static const struct {
        const char *type;
        const char *bytes;
        size_t n;
        const char *want;
    } cases[] = {
        {"'boolean'", "\x02", 1, "a boolean that is 2 at byte 1"},
        {"'boolean'", "", 0, "the end in the middle of a boolean at byte 1"},
        {"'int'", "\x80\x80\x80\x80\x10", 5, "an int of more than 32 bits at byte 1"},
        {"'int'", "\x80", 1, "the end in the middle of a number at byte 2"},
        {"'long'", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11,
         "a number of more than 64 bits at byte 1"},
        {"'float'", "\x00\x00\x00", 3, "the end in the middle of a float at byte 4"},
        {"'double'", "\x00\x00\x00", 3, "the end in the middle of a double at byte 4"},
        {"'string'", "\x02", 1, "a length of 1 where 0 bytes are left at byte 1"},
        {"'bytes'", "\x01", 1, "a length of -1 where 0 bytes are left at byte 1"},
        {"{'type':'fixed','name':'F','size':3}", "\x00\x00", 2,
         "the end in the middle of a fixed at byte 3"},
        {"{'type':'enum','name':'F','symbols':['A']}", "\x02", 1, "symbol number 1 of 1 at byte 1"},
        {"{'type':'enum','name':'F','symbols':[]}", "\x00", 1, "symbol number 0 of 0 at byte 1"},
        {"[]", "\x00", 1, "branch number 0 of 0 at byte 1"},
        {"['null','int']", "", 0, "the end in the middle of a number at byte 1"},
        {"['null','int','long']", "", 0, "the end in the middle of a number at byte 1"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int inside = 0; inside < 3; inside++) {
            _cleanup_buf_ struct buf schema = {0};
            char want[256];
            buf_printf(&schema, "{'type':'record','name':'R','fields':[{'name':'f','type':%s}]}",
                       cases[i].type);
            avro_begin(&r, buf_cstr(&schema), NAMES_EXACT);
            /* read, passed over, and rendered */
            if (inside < 2) {
                avro_want(&r, inside == 0 ? "f" : "other");
            }
            avro_put(&r, cases[i].bytes, cases[i].n);
            snprintf(want, sizeof want, "the value is no Avro of 'R': %s", cases[i].want);
            avro_expect_fault(&r, want);
            avro_done(&r);
        }
    }
}

static void test_numbers_of_any_length(void **state)
{
    (void) state;
    struct avro_rig r;
    static const int64_t numbers[] = {0,    -1,   63,        64,        -65,
                                      8191, 8192, INT32_MAX, INT64_MAX, INT64_MIN};

    avro_begin(&r, "'long'", NAMES_EXACT);
    r.any = true;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        buf_clear(&r.bytes);
        avro_put_long(&r, numbers[i]);
        char *block = avro_read(&r);
        assert_int_equal(r.cells[0].kind, CELL_INT);
        assert_true(r.cells[0].number == numbers[i]);
        free(block);
    }
    /* With bytes that it does not need. */
    buf_clear(&r.bytes);
    avro_put(&r, "\x82\x80\x00", 3);
    char *block = avro_read(&r);
    avro_expect(&r, 0, "int 1/0");
    free(block);
    avro_done(&r);
}

static void test_floats(void **state)
{
    (void) state;
    struct avro_rig r;
    static const struct {
        double d;
        const char *want;
        bool is_short;
    } cases[] = {
        {0, "number 0", true},
        {-0.0, "number -0", false},
        {1e22, "number 1e+22", false},
        {0.1 + 0.2, "number 0.30000000000000004", true},
        {-12345.678, "number -12345.678", true},
        {5e-324, "number 5e-324", false},
        {(double) INFINITY, "'Infinity'", false},
        {-(double) INFINITY, "'-Infinity'", false},
        {(double) NAN, "'NaN'", false},
    };

    avro_begin(&r, "'double'", NAMES_EXACT);
    r.any = true;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_clear(&r.bytes);
        avro_put(&r, &cases[i].d, sizeof cases[i].d);
        char *block = avro_read(&r);
        avro_expect(&r, 0, cases[i].want);
        assert_int_equal(cell_is_short(&r.cells[0]), cases[i].is_short);
        free(block);
    }
    avro_done(&r);
    avro_begin(&r, "'float'", NAMES_EXACT);
    r.any = true;
    float f = 16777216.0F;
    avro_put(&r, &f, sizeof f);
    char *block = avro_read(&r);
    avro_expect(&r, 0, "number 16777216");
    free(block);
    f = 0x1p-23F;
    memcpy(r.bytes.p, &f, sizeof f);
    block = avro_read(&r);
    avro_expect(&r, 0, "number 1.1920929e-07");
    free(block);
    f = (float) INFINITY;
    memcpy(r.bytes.p, &f, sizeof f);
    block = avro_read(&r);
    avro_expect(&r, 0, "'Infinity'");
    assert_true(str_eq_z(r.cells[0].raw, "\"Infinity\""));
    free(block);
    avro_done(&r);
}

/* What the schema says of values, in the cell and in the JSON. */
static void test_senses(void **state)
{
    (void) state;
    struct avro_rig r;

    avro_begin(&r,
               "{'type':'record','name':'S','fields':["
               "{'name':'day','type':{'type':'int','logicalType':'date'}},"
               "{'name':'price','type':{'type':'bytes','logicalType':'decimal','scale':2}},"
               "{'name':'any','type':{'type':'record','name':'D','fields':["
               "{'name':'scale','type':'int'},{'name':'value','type':'bytes'}],"
               "'connect.name':'io.debezium.data.VariableScaleDecimal'}},"
               "{'name':'odd','type':{'type':'record','name':'O','fields':["
               "{'name':'value','type':'string'}],"
               "'connect.name':'io.debezium.data.VariableScaleDecimal'}}]}",
               NAMES_EXACT);
    uint32_t day = avro_want(&r, "day");
    uint32_t price = avro_want(&r, "price");
    uint32_t any = avro_want(&r, "any");
    uint32_t odd = avro_want(&r, "odd");
    avro_want(&r, "");
    avro_put_long(&r, 19782);
    avro_put(&r, "\x04\x01\x00", 3);
    avro_put(&r, "\x06\x04\x01\x00", 4);
    avro_put(&r, "\x02\x00", 2);
    char *block = avro_read(&r);
    avro_expect(&r, day, "int 19782/5");
    avro_expect(&r, price, "bytes 2 01 00");
    avro_expect(&r, any, "number 0.256");
    assert_true(cell_is_short(&r.cells[any]));
    assert_int_equal(format_node_shape(&r.s, any)->sense, SENSE_SCALED);
    char nul[] = "{\"value\":\"\\u0000\"}";
    avro_expect(&r, odd, nul);
    assert_true(r.s.is_odd);
    avro_expect(&r, 0,
                "{\"day\":\"2024-02-29\",\"price\":2.56,\"any\":0.256,"
                "\"odd\":{\"value\":\"\\u0000\"}}");
    free(block);
    for (size_t n = 0; n < r.bytes.n; n++) {
        assert_false(avro_try(&r, n, &block));
        free(block);
    }
    /* A scale that no numeric has. */
    buf_clear(&r.bytes);
    avro_put(&r, "\x00\x00", 2);
    avro_put_long(&r, 99999);
    avro_put(&r, "\x02\x01\x00", 3);
    avro_expect_fault(&r, "the value is no Avro of 'S': a decimal of 1 bytes with the scale 99999 "
                          "is out of range for numeric");
    avro_done(&r);
}

/* ---- names ---- */

static void test_names_by_policy(void **state)
{
    (void) state;
    struct avro_rig r;
    const char *schema =
        "{'type':'record','name':'R','fields':[{'name':'orderId','type':'int'},"
        "{'name':'Who','type':{'type':'record','name':'W','fields':[{'name':'x','type':'int'}]}},"
        "{'name':'m','type':{'type':'map','values':'int'}}]}";

    avro_begin(&r, schema, NAMES_SNAKE_CASE);
    uint32_t column = avro_want(&r, "!order_id");
    uint32_t path = avro_want(&r, "orderId");
    uint32_t who = avro_want(&r, "!who");
    uint32_t x = avro_want(&r, "Who/x");
    uint32_t key = avro_want(&r, "m/oneKey");
    uint32_t key_column = avro_want(&r, "!m/one_key");
    avro_put_long(&r, 7);
    avro_put_long(&r, 8);
    avro_put_long(&r, 2);
    avro_put_text(&r, "oneKey");
    avro_put_long(&r, 9);
    avro_put_text(&r, "oneKey");
    avro_put_long(&r, 10);
    avro_put_long(&r, 0);
    char *block = avro_read(&r);
    avro_expect(&r, column, "int 7/0");
    avro_expect(&r, path, "int 7/0");
    avro_expect(&r, who, "{\"x\":8}");
    avro_expect(&r, x, "int 8/0");
    avro_expect(&r, key, "int 10/0");
    avro_expect(&r, key_column, "int 10/0");
    free(block);
    buf_clear(&r.bytes);
    avro_put_long(&r, 7);
    avro_put_long(&r, 8);
    avro_put_long(&r, 2);
    avro_put_text(&r, "oneKey");
    avro_put_long(&r, 9);
    avro_put_text(&r, "one_key");
    avro_put_long(&r, 10);
    avro_put_long(&r, 0);
    avro_expect_fault(&r, "the value is no Avro of 'R': 'oneKey' and 'one_key' both meet column "
                          "'one_key'");
    avro_done(&r);
}

static void test_two_fields_for_one_column(void **state)
{
    (void) state;
    struct avro_rig r;

    avro_begin(&r,
               "{'type':'record','name':'R','fields':[{'name':'other','type':'int'},"
               "{'name':'orderId','type':'int'},{'name':'order_id','type':'int'}]}",
               NAMES_SNAKE_CASE);
    avro_want(&r, "!order_id");
    avro_put(&r, "\x02\x02\x02", 3);
    avro_expect_fault(&r, "the value is no Avro of 'R': 'orderId' and 'order_id' both meet column "
                          "'order_id'");
    assert_string_equal(r.err.sqlstate, "42701");
    avro_done(&r);
}

/* ---- plans ---- */

/* A scratch memory serves many schemas and trees; a schema may go when its holder drops it. */
static void test_plans_of_many_schemas(void **state)
{
    (void) state;
    struct avro_rig r = {0};
    struct fields trees[2];

    for (int t = 0; t < 2; t++) {
        fields_init(&trees[t]);
        fields_add(&trees[t], 0, t == 0 ? STR_LIT("a") : STR_LIT("b"));
        fields_seal(&trees[t]);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            _cleanup_buf_ struct buf text = {0};
            buf_printf(&text,
                       "{'type':'record','name':'R%d','fields':[{'name':'a','type':'int'},"
                       "{'name':'b','type':'string'}]}",
                       i);
            const struct schema *schema = avro_schema(buf_cstr(&text));
            for (int turn = 0; turn < 4; turn++) {
                int t = turn % 2;
                const struct format_input in = {.what = "key",
                                                .bytes = STR_LIT("\x0A\x02x"),
                                                .names = &trees[t],
                                                .schema = schema,
                                                .shape = schema_root(schema, 0)};
                assert_true(format_of(FORMAT_AVRO)->read(&r.s, &in, r.cells, &r.err));
                avro_expect(&r, 1, t == 0 ? "int 5/0" : "'x'");
            }
            schema_drop(schema);
        }
    }
    /* After another format nothing is known of shapes. */
    assert_non_null(format_node_shape(&r.s, 1));
    const struct format_input json = {
        .what = "value", .bytes = STR_LIT("{\"b\":1}"), .names = &trees[1]};
    assert_true(format_of(FORMAT_JSON)->read(&r.s, &json, r.cells, &r.err));
    assert_null(format_node_shape(&r.s, 1));
    format_scratch_done(&r.s);
    fields_done(&trees[0]);
    fields_done(&trees[1]);
}

/* Two branches lead on at each level, so the ways grow as Fibonacci's numbers do. */
static void test_a_plan_that_would_be_too_long(void **state)
{
    (void) state;
    struct avro_rig r;
    _cleanup_buf_ struct buf path = {0};

    for (int i = 0; i < 40; i++) {
        buf_add_z(&path, i > 0 ? "/x" : "x");
    }
    avro_begin(&r,
               "{'type':'record','name':'R','fields':[{'name':'x','type':['null','R',"
               "{'type':'record','name':'S','fields':[{'name':'x','type':'R'}]}]}]}",
               NAMES_EXACT);
    avro_want(&r, buf_cstr(&path));
    avro_put_long(&r, 0);
    avro_expect_fault(&r, "the value: its schema has so many branches that 262144 steps do not "
                          "lead to all that is wanted");
    /* That is known for the next record: to plan again would take minutes. */
    for (int i = 0; i < 20000; i++) {
        char *block;
        assert_false(avro_try(&r, r.bytes.n, &block));
        assert_string_equal(r.err.sqlstate, "54001");
        free(block);
    }
    avro_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_type_into_its_cell),
        cmocka_unit_test(test_the_whole_record_as_json),
        cmocka_unit_test(test_parts_beside_fields),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_null_and_tombstones),
        cmocka_unit_test(test_nullable_values),
        cmocka_unit_test(test_what_is_no_record),
        cmocka_unit_test(test_unions_of_several),
        cmocka_unit_test(test_a_branch_by_its_name),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_paths_into_maps),
        cmocka_unit_test(test_an_array_beside_a_path),
        cmocka_unit_test(test_blocks_that_lie),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_a_bomb_of_records),
        cmocka_unit_test(test_json_that_would_be_too_large),
        cmocka_unit_test(test_recursion),
        cmocka_unit_test(test_primitives_that_are_none),
        cmocka_unit_test(test_numbers_of_any_length),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_senses),
        cmocka_unit_test(test_names_by_policy),
        cmocka_unit_test(test_two_fields_for_one_column),
        cmocka_unit_test(test_plans_of_many_schemas),
        cmocka_unit_test(test_a_plan_that_would_be_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
