/*
 * options.def as a whole: every default is a legal value, every limit is where it says, every kind
 * refuses what is not of it, and each refusal has a place. A new option is tested by being there.
 */
#include "config/option.h"

#include "config/units.h"

#include "config_kit.h"

static bool needs_key(const struct option *o)
{
    static const char *const names[] = {"key", "delete", "delete_when", "soft_delete",
                                        "only_if_newer"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(o->section, SECTION_ROUTE) == 0 && strcmp(o->name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Of use for change events alone. */
static bool needs_envelope(const struct option *o, const char *value)
{
    return (strcmp(o->name, "on_truncate") == 0 && strcmp(value, "apply") != 0) ||
           (strcmp(o->name, "time_precision") == 0 && strcmp(value, "auto") != 0) ||
           (strcmp(o->name, "decimal") == 0 && strcmp(value, "auto") != 0) ||
           strcmp(value, "change") == 0;
}

/* A file in which one option has a value; required ones are there already. */
static void with_value(const struct option *o, const char *value, struct buf *out)
{
    bool is_root = strcmp(o->section, SECTION_ROOT) == 0;
    bool is_route = strcmp(o->section, SECTION_ROUTE) == 0;

    buf_clear(out);
    if (is_root) {
        buf_printf(out, "%s: %s\n", o->name, value);
    } else if (!is_route) {
        buf_printf(out, "%s:\n  %s: %s\n", o->section, o->name, value);
    } else {
        buf_printf(out, "routes:\n  - %s: %s\n", o->name, value);
        if (strcmp(o->name, "topics") != 0) {
            buf_add_z(out, "    topics: t\n");
        }
        if (strcmp(o->name, "table") != 0) {
            buf_add_z(out, "    table: t\n");
        }
        if (needs_envelope(o, value)) {
            buf_add_z(out, "    envelope: debezium\n");
        }
        if (needs_key(o)) {
            buf_add_z(out, "    mode: upsert\n");
        }
        if (strcmp(o->name, "soft_delete") == 0) {
            buf_add_z(out, "    delete: tombstone\n");
        }
    }
    if (!is_root || strcmp(o->name, "sink") != 0) {
        buf_add_z(out, "sink: s\n");
    }
    if (strcmp(o->section, "kafka") != 0) {
        buf_add_z(out, "kafka:\n  brokers: b\n");
    }
    if (!is_route) {
        buf_add_z(out, "routes:\n  - {topics: t, table: t}\n");
    }
}

/* In kafka: brokers follows the option, in the same section. */
static void file_for(const struct option *o, const char *value, struct buf *out)
{
    bool in_kafka = strcmp(o->section, "kafka") == 0 && strcmp(o->name, "brokers") != 0;

    if (!in_kafka) {
        with_value(o, value, out);
        return;
    }
    buf_clear(out);
    buf_printf(out, "kafka:\n  %s: %s\n  brokers: b\nsink: s\nroutes:\n  - {topics: t, table: t}\n",
               o->name, value);
}

static struct position value_position(const struct option *o)
{
    unsigned indent = strcmp(o->section, SECTION_ROOT) == 0    ? 0
                      : strcmp(o->section, SECTION_ROUTE) == 0 ? 4
                                                               : 2;

    return (struct position){indent == 0 ? 1 : 2, indent + (unsigned) strlen(o->name) + 3};
}

static struct config *expect_ok(struct kit *kit, const struct option *o, const char *value)
{
    _cleanup_buf_ struct buf file = {0};

    file_for(o, value, &file);
    return kit_load(kit, buf_cstr(&file));
}

static void expect_refused(struct kit *kit, const struct option *o, const char *value)
{
    _cleanup_buf_ struct buf file = {0};
    struct position pos = value_position(o);
    struct error err = {0};
    char want[32];

    file_for(o, value, &file);
    assert_null(config_load(kit_write_z(kit, "c.yaml", buf_cstr(&file)), &err));
    snprintf(want, sizeof want, "c.yaml:%u:%u: ", pos.line, pos.column);
    if (strncmp(kit_said(kit, &err), want, strlen(want)) != 0) {
        print_error("%s: %s: %s, not at %s\n", o->name, value, err.text, want);
        fail();
    }
}

static void test_defaults(void **state)
{
    size_t n = 0;
    const struct option *options = option_list(&n);

    for (size_t i = 0; i < n; i++) {
        const char *value = options[i].def != NULL ? options[i].def : options[i].sample;
        struct config *cfg = NULL;

        if (value == NULL) {
            assert_true(options[i].kind == OPTION_PROPERTIES);
            continue;
        }
        if (options[i].kind == OPTION_PROPERTIES) {
            kit_write_z(*state, "kafka-password", "x\n");
        }
        cfg = expect_ok(*state, &options[i], value[0] != '\0' ? value : "\"\"");
        config_free(cfg);
    }
}

/* A default that is written out gives the same configuration as one that is not. */
static void test_defaults_are_neutral(void **state)
{
    struct config *plain = kit_load(*state, "sink: s\nkafka: {brokers: b}\n"
                                            "routes: [{topics: t, table: t}]\n");
    _cleanup_buf_ struct buf want = {0};
    size_t n = 0;
    const struct option *options = option_list(&n);

    config_print(plain, &want);
    for (size_t i = 0; i < n; i++) {
        _cleanup_buf_ struct buf got = {0};
        struct config *cfg = NULL;

        if (options[i].def == NULL || strcmp(options[i].name, "group") == 0 ||
            needs_key(&options[i])) {
            continue;
        }
        cfg = expect_ok(*state, &options[i], options[i].def[0] != '\0' ? options[i].def : "\"\"");
        config_print(cfg, &got);
        assert_string_equal(buf_cstr(&got), buf_cstr(&want));
        config_free(cfg);
    }
    config_free(plain);
}

static bool is_number(const struct option *o)
{
    return o->kind == OPTION_U32 || o->kind == OPTION_SIZE || o->kind == OPTION_DURATION;
}

static void print_number(const struct option *o, uint64_t value, struct buf *out)
{
    buf_clear(out);
    if (o->kind == OPTION_DURATION && value != 0) {
        assert_int_equal(value % 1000, 0);
        buf_printf(out, "%llums", (unsigned long long) value / 1000);
    } else {
        buf_printf(out, "%llu", (unsigned long long) value);
    }
}

static void test_number_limits(void **state)
{
    size_t n = 0;
    const struct option *options = option_list(&n);
    size_t seen = 0;

    for (size_t i = 0; i < n; i++) {
        const struct option *o = &options[i];
        uint64_t step = o->kind == OPTION_DURATION ? 1000 : 1;
        _cleanup_buf_ struct buf text = {0};

        if (!is_number(o)) {
            continue;
        }
        seen += 1;
        assert_true(o->min < o->max);
        print_number(o, o->min, &text);
        config_free(expect_ok(*state, o, buf_cstr(&text)));
        print_number(o, o->max, &text);
        config_free(expect_ok(*state, o, buf_cstr(&text)));
        print_number(o, o->max + step, &text);
        expect_refused(*state, o, buf_cstr(&text));
        if (o->min > 0) {
            print_number(o, o->min - step, &text);
            expect_refused(*state, o, buf_cstr(&text));
        } else {
            expect_refused(*state, o, o->kind == OPTION_DURATION ? "-1s" : "-1");
        }
        expect_refused(*state, o, "99999999999999999999999");
    }
    assert_true(seen >= 7);
}

/* What no option but a text takes. */
static void test_wrong_kinds(void **state)
{
    size_t n = 0;
    const struct option *options = option_list(&n);

    for (size_t i = 0; i < n; i++) {
        const struct option *o = &options[i];
        bool is_list = o->kind == OPTION_TOPICS || o->kind == OPTION_KEY;
        bool is_map = o->kind == OPTION_PROPERTIES || o->kind == OPTION_COLUMNS;
        bool is_text = o->kind == OPTION_TEXT || o->kind == OPTION_TABLE || is_list;

        if (!is_text) {
            expect_refused(*state, o, "x");
        }
        if (!is_map) {
            expect_refused(*state, o, "{x: y}");
        }
        if (!is_list) {
            expect_refused(*state, o, "[x]");
        }
    }
}

static void test_words(void **state)
{
    size_t n = 0;
    const struct option *options = option_list(&n);
    size_t seen = 0;

    for (size_t i = 0; i < n; i++) {
        const struct option *o = &options[i];

        assert_true((o->kind == OPTION_WORD) == (o->words.count > 0));
        for (size_t w = 0; w < o->words.count; w++) {
            const struct option_word *word = &o->words.items[w];

            seen += 1;
            assert_string_equal(option_word_text(o->words, word->value), word->text);
            if (strcmp(word->text, "avro") == 0 || strcmp(word->text, "protobuf") == 0 ||
                strcmp(word->text, "json_schema") == 0) {
                expect_refused(*state, o, word->text); /* there is no registry */
            } else {
                config_free(expect_ok(*state, o, word->text));
            }
        }
    }
    assert_true(seen > 25);
}

static void test_text_limits(void **state)
{
    size_t n = 0;
    const struct option *options = option_list(&n);

    for (size_t i = 0; i < n; i++) {
        const struct option *o = &options[i];
        _cleanup_buf_ struct buf text = {0};

        if (o->kind != OPTION_TEXT) {
            continue;
        }
        if (o->min > 0) {
            expect_refused(*state, o, "\"\"");
        }
        if (o->max > 0) {
            buf_fill(&text, 'x', o->max);
            config_free(expect_ok(*state, o, buf_cstr(&text)));
            buf_add_z(&text, "x");
            expect_refused(*state, o, buf_cstr(&text));
        }
    }
}

static void test_refused_properties(void **state)
{
    size_t n = 0;
    const struct option_refused *list = option_refused_list(&n);

    (void) state;
    for (size_t i = 0; i < n; i++) {
        const struct option_refused *found = option_refused_find(str_of(list[i].name));

        assert_ptr_equal(found, &list[i]); /* also: no name twice, none hidden by a pattern */
        assert_true(strlen(list[i].reason) > 5);
    }
    assert_non_null(option_refused_find(STR_LIT("rebalance_cb")));
    assert_non_null(option_refused_find(STR_LIT("_cb")));
    assert_null(option_refused_find(STR_LIT("cb")));
    assert_null(option_refused_find(STR_LIT("client.id")));
    assert_null(option_refused_find(STR_LIT("")));
}

static void test_names_are_unique(void **state)
{
    size_t n = 0;
    size_t section_count = 0;
    const struct option *options = option_list(&n);
    const struct option_section *sections = option_sections(&section_count);

    (void) state;
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(option_find(options[i].section, str_of(options[i].name)), &options[i]);
    }
    for (size_t i = 0; i < section_count; i++) {
        assert_ptr_equal(option_section_find(str_of(sections[i].name)), &sections[i]);
        assert_null(option_find(SECTION_ROOT, str_of(sections[i].name)));
    }
}

/* Whoever changes it is to find out before. */
static void test_what_needs_a_restart_says_why(void **state)
{
    size_t n;
    const struct option *options = option_list(&n);

    (void) state;
    for (size_t i = 0; i < n; i++) {
        bool says = strstr(options[i].help, "change needs a restart: ") != NULL;
        if (says == option_is_live(&options[i])) {
            fail_msg("%s.%s: without LIVE, its text says why a change needs a restart; with it not",
                     options[i].section, options[i].name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_defaults_are_neutral),
        cmocka_unit_test(test_number_limits),
        cmocka_unit_test(test_wrong_kinds),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_text_limits),
        cmocka_unit_test(test_refused_properties),
        cmocka_unit_test(test_names_are_unique),
        cmocka_unit_test(test_what_needs_a_restart_says_why),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
