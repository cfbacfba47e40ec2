/* mapping.c and path.c: from configuration and catalog to the plan of a route. */
#include "row/mapping/mapping.h"

#include "row/kit.h"
#include "row/path/path.h"

static struct mapping_spec spec(enum format_id format, const struct mapping_entry *entries,
                                size_t n)
{
    return (struct mapping_spec){.format = format, .entries = entries, .entry_count = n};
}

static void expect_line(const struct mapping *m, size_t column, const char *source,
                        const char *encoding)
{
    const char *got_source;
    const char *got_encoding;

    mapping_describe(m, column, &got_source, &got_encoding);
    kit_assert_text(got_source, source);
    kit_assert_text(got_encoding, encoding);
}

/* The mapping must be refused with these words; the hint must have those. */
static void expect_fault(struct table *t, struct mapping_spec s, const char *words,
                         const char *hint)
{
    struct error err;
    struct mapping *m = mapping_new(t, &s, 0, &err);

    assert_null(m);
    assert_int_equal(err.class, ERROR_SETUP);
    kit_assert_text(err.text, words);
    assert_non_null(strstr(err.hint, hint));
    table_free(t);
}

static struct mapping *make(const struct table *t, struct mapping_spec s)
{
    return kit_mapping(t, &s, 5);
}

static void test_json_by_name_and_convention(void **state)
{
    (void) state;
    struct table *t = KIT_TABLE(
        kit_column("id", TYPE_INT8), kit_column("odd name", TYPE_TEXT),
        kit_column("_topic", TYPE_TEXT), kit_column("_partition", TYPE_INT4),
        kit_column("_offset", TYPE_INT8), kit_column("_timestamp", TYPE_TIMESTAMPTZ),
        kit_column("_key", TYPE_BYTEA), kit_column("_headers", TYPE_JSONB),
        kit_column("_other", TYPE_TEXT), kit_column("topic", TYPE_TEXT),
        kit_column("gen", TYPE_TEXT), kit_column("ident", TYPE_INT8));
    t->columns[10].generated = true;
    t->columns[11].identity = true;
    t->columns[11].not_null = true;
    struct mapping *m = make(t, spec(FORMAT_JSON, NULL, 0));
    expect_line(m, 0, "value.id", "int8 binary");
    expect_line(m, 1, "value.\"odd name\"", "text binary");
    expect_line(m, 2, "meta.topic", "text binary");
    expect_line(m, 3, "meta.partition", "int4 binary");
    expect_line(m, 4, "meta.offset", "int8 binary");
    expect_line(m, 5, "meta.timestamp", "timestamptz binary");
    expect_line(m, 6, "key", "bytea binary");
    expect_line(m, 7, "headers", "jsonb binary");
    expect_line(m, 8, "value._other", "text binary");
    expect_line(m, 9, "value.topic", "text binary");
    expect_line(m, 10, "generated", "");
    expect_line(m, 11, "identity", "");
    const struct target *target = mapping_target(m);
    assert_int_equal(target->id, 5);
    assert_ptr_equal(target->table, t);
    assert_int_equal(target->column_count, 10);
    assert_ptr_equal(target->columns[3].column, &t->columns[3]);
    assert_int_equal(target->columns[3].omit_bit, -1);
    assert_true(mapping_wants_headers(m));
    mapping_free(m);
    table_free(t);
}

static void test_raw_by_name(void **state)
{
    (void) state;
    struct table *t = KIT_TABLE(kit_column("topic", TYPE_TEXT), kit_column("partition", TYPE_INT4),
                                kit_column("offset", TYPE_INT8),
                                kit_column("timestamp", TYPE_TIMESTAMPTZ),
                                kit_column("key", TYPE_BYTEA), kit_column("value", TYPE_BYTEA),
                                kit_column("headers", TYPE_JSONB), kit_column("_key", TYPE_TEXT),
                                kit_column("note", TYPE_OTHER), kit_column("at", TYPE_TIMESTAMP));
    t->columns[9].has_default = true;
    struct mapping *m = make(t, spec(FORMAT_RAW, NULL, 0));
    expect_line(m, 0, "meta.topic", "text binary");
    expect_line(m, 1, "meta.partition", "int4 binary");
    expect_line(m, 2, "meta.offset", "int8 binary");
    expect_line(m, 3, "meta.timestamp", "timestamptz binary");
    expect_line(m, 4, "key", "bytea binary");
    expect_line(m, 5, "value", "bytea binary");
    expect_line(m, 6, "headers", "jsonb binary");
    expect_line(m, 7, "key", "text binary");
    expect_line(m, 8, "not filled: NULL", "");
    expect_line(m, 9, "default", "");
    mapping_free(m);
    table_free(t);
}

static void test_keys_without_fields(void **state)
{
    (void) state;
    static const struct mapping_entry entries[] = {{.column = "id", .path = "key.id"}};
    struct mapping_spec s = spec(FORMAT_JSON, entries, 1);
    s.key_format = KEY_TEXT;
    expect_fault(KIT_TABLE(kit_column("id", TYPE_INT4)), s,
                 "column 'id': key.id: with key_format text a key has no fields",
                 "key_format: json");
    s.key_format = KEY_INT64;
    s.entries = NULL;
    s.entry_count = 0;
    s.when = "key.id = 1";
    expect_fault(KIT_TABLE(kit_column("id", TYPE_INT4)), s,
                 "when: with key_format int64 a key has no fields", "key_format: json");
}

static void test_entries_come_first(void **state)
{
    (void) state;
    struct table *t = KIT_TABLE(kit_column("_topic", TYPE_TEXT), kit_column("at", TYPE_TIMESTAMPTZ),
                                kit_column("ident", TYPE_INT8), kit_column("h", TYPE_TEXT));
    t->columns[2].identity = true;
    static const struct mapping_entry entries[] = {
        {.column = "_topic", .path = "value.a.\"b.\"\"c\".d-e"},
        {.column = "at", .path = "key.at", .unit = UNIT_US},
        {.column = "ident", .path = "key"},
        {.column = "h", .path = "headers.trace-id"},
    };
    struct mapping *m = make(t, spec(FORMAT_JSON, entries, ARRAY_LEN(entries)));
    expect_line(m, 0, "value.a.\"b.\"\"c\".d-e", "text binary");
    expect_line(m, 1, "key.at", "timestamptz binary, numbers in us");
    expect_line(m, 2, "key", "int8 binary");
    expect_line(m, 3, "headers.trace-id", "text binary");
    assert_true(mapping_wants_headers(m));
    mapping_free(m);
    table_free(t);
}

static void test_a_column_that_is_kept(void **state)
{
    (void) state;
    static const struct mapping_entry entries[] = {{.column = "a", .path = "keep"},
                                                   {.column = "b", .path = "keep"}};
    struct table *t = KIT_TABLE(kit_column("a", TYPE_TEXT), kit_column("b", TYPE_TEXT),
                                kit_column("keep", TYPE_TEXT));
    t->columns[1].has_default = true;
    struct mapping *m = make(t, spec(FORMAT_JSON, entries, 2));
    expect_line(m, 0, "kept", "");
    expect_line(m, 1, "kept; default in a new row", "");
    expect_line(m, 2, "value.keep", "text binary");
    assert_int_equal(mapping_target(m)->column_count, 1);
    mapping_free(m);
    table_free(t);
    t = KIT_TABLE(kit_column("a", TYPE_TEXT), kit_column("b", TYPE_TEXT));
    t->columns[0].not_null = true;
    expect_fault(t, spec(FORMAT_JSON, entries, 2),
                 "column 'a': it is NOT NULL without a default, and nothing fills it",
                 "give it a DEFAULT");
}

/* An entry fills them, and the row of a change event; a field of the same name does not. */
static void test_identities(void **state)
{
    (void) state;
    static const struct mapping_entry entry = {.column = "b", .path = "value.n"};
    for (int always = 0; always <= 1; always++) {
        struct table *t = KIT_TABLE(kit_column("a", TYPE_INT8), kit_column("b", TYPE_INT8));
        for (size_t i = 0; i < t->column_count; i++) {
            t->columns[i].identity = true;
            t->columns[i].identity_always = always == 1;
        }
        struct mapping *m = make(t, spec(FORMAT_JSON, &entry, 1));
        expect_line(m, 0, "identity", "");
        expect_line(m, 1, "value.n", "int8 binary");
        mapping_free(m);
        struct mapping_spec changes = spec(FORMAT_JSON, &entry, 1);
        changes.envelope = ENVELOPE_DEBEZIUM;
        m = make(t, changes);
        expect_line(m, 0, "value.after.a", "int8 binary");
        assert_int_equal(mapping_target(m)->columns[0].omit_bit, 0);
        mapping_free(m);
        table_free(t);
    }
}

static void test_omit_bits(void **state)
{
    (void) state;
    struct table *t = KIT_TABLE(
        kit_column("a", TYPE_INT4), kit_column("b", TYPE_INT4), kit_column("_key", TYPE_TEXT),
        kit_column("_timestamp", TYPE_TIMESTAMP), kit_column("c", TYPE_INT8));
    for (int i = 1; i < 4; i++) {
        t->columns[i].has_default = true;
    }
    t->columns[4].identity = true;
    static const struct mapping_entry entry = {.column = "c", .path = "headers.c"};
    struct mapping *m = make(t, spec(FORMAT_JSON, &entry, 1));
    static const int want[] = {-1, 0, -1, 1, 2};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_int_equal(mapping_target(m)->columns[i].omit_bit, want[i]);
    }
    mapping_free(m);
    table_free(t);
}

static struct table *many_defaults(size_t n)
{
    _cleanup_mem_ struct column *columns = mem_array(n, sizeof *columns);

    for (size_t i = 0; i < n; i++) {
        char name[24];
        snprintf(name, sizeof name, "c%zu", i);
        columns[i] = kit_column(name, TYPE_INT4);
        columns[i].has_default = true;
    }
    return kit_table(columns, n);
}

static void test_at_most_127_omit_bits_where_rows_are_not_mixed(void **state)
{
    (void) state;
    static const char wanted[] =
        "table \"public\".\"t\": more than 127 columns with a DEFAULT are filled";
    struct table *t = many_defaults(TARGET_OMIT_MAX);
    struct mapping *m = make(t, spec(FORMAT_JSON, NULL, 0));
    assert_false(mapping_target(m)->mixes);
    mapping_free(m);
    table_free(t);
    expect_fault(many_defaults(TARGET_OMIT_MAX + 1), spec(FORMAT_JSON, NULL, 0), wanted,
                 "GRANT TEMPORARY");
    t = many_defaults(TARGET_OMIT_MAX + 1);
    t->may_stage = true;
    expect_fault(t, spec(FORMAT_JSON, NULL, 0), wanted, "GRANT USAGE ON the sequence");
    t = many_defaults(TARGET_OMIT_MAX + 1);
    t->may_stage = t->has_rules = true;
    expect_fault(t, spec(FORMAT_JSON, NULL, 0), wanted, "DROP RULE");
}

static void test_rows_are_mixed_where_that_can_be_done(void **state)
{
    (void) state;
    struct table *t = many_defaults(TARGET_OMIT_MAX + 100);
    t->may_stage = true;
    for (size_t i = 0; i < t->column_count; i++) {
        t->columns[i].default_sql = mem_strdup("1");
    }
    struct mapping *m = make(t, spec(FORMAT_JSON, NULL, 0));
    assert_true(mapping_target(m)->mixes);
    assert_int_equal(mapping_target(m)->omit_count, TARGET_OMIT_MAX + 100);
    mapping_free(m);
    table_free(t);
}

static void test_how_other_types_go(void **state)
{
    (void) state;
    struct table *t = KIT_TABLE(kit_column("place", TYPE_OTHER), kit_column("tags", TYPE_ARRAY),
                                kit_column("times", TYPE_ARRAY), kit_column("mood", TYPE_ENUM));
    t->columns[0].cast = true;
    t->columns[0].base_name = mem_strdup("public.geometry");
    kit_element(&t->columns[1], TYPE_TEXT);
    kit_element(&t->columns[2], TYPE_TIMESTAMPTZ);
    static const struct mapping_entry entries[] = {
        {.column = "times", .path = "value.t", .unit = UNIT_MS}};
    struct mapping *m = make(t, spec(FORMAT_JSON, entries, 1));
    expect_line(m, 0, "value.place", "text, cast to public.geometry");
    expect_line(m, 1, "value.tags", "text array binary");
    expect_line(m, 2, "value.t", "timestamptz array binary, numbers in ms");
    expect_line(m, 3, "value.mood", "enum binary");
    mapping_free(m);
    table_free(t);
}

static void test_faults_of_tables(void **state)
{
    (void) state;
    struct table *t = KIT_TABLE(kit_column("value", TYPE_BYTEA), kit_column("need", TYPE_INT4));
    t->columns[1].not_null = true;
    expect_fault(t, spec(FORMAT_RAW, NULL, 0),
                 "column 'need': it is NOT NULL without a default, and nothing fills it",
                 "columns:");
    expect_fault(KIT_TABLE(kit_column("x", TYPE_TEXT)), spec(FORMAT_RAW, NULL, 0),
                 "no column of table \"public\".\"t\" is filled", "columns:");
    t = KIT_TABLE(kit_column("x", TYPE_TEXT));
    free(t->columns[0].name);
    free(t->columns[0].type_name);
    t->column_count = 0;
    expect_fault(t, spec(FORMAT_JSON, NULL, 0), "no column of table \"public\".\"t\" is filled",
                 "columns:");
}

static void test_faults_of_entries(void **state)
{
    (void) state;
    static const struct mapping_entry near = {.column = "custmer", .path = "value.x"};
    expect_fault(KIT_TABLE(kit_column("customer", TYPE_TEXT)), spec(FORMAT_JSON, &near, 1),
                 "table \"public\".\"t\" has no column 'custmer'", "Did you mean 'customer'?");
    expect_fault(KIT_TABLE(kit_column("entirely", TYPE_TEXT)), spec(FORMAT_JSON, &near, 1),
                 "table \"public\".\"t\" has no column 'custmer'", "case-sensitive");

    static const struct mapping_entry a = {.column = "a", .path = "value.x"};
    struct table *t = KIT_TABLE(kit_column("a", TYPE_TEXT));
    t->columns[0].generated = true;
    expect_fault(t, spec(FORMAT_JSON, &a, 1),
                 "column 'a': it is GENERATED ALWAYS and cannot be filled", "Take its entry out");
    expect_fault(KIT_TABLE(kit_column("a", TYPE_TEXT)), spec(FORMAT_RAW, &a, 1),
                 "column 'a': value.x: with format raw a value has no fields", "format json");

    static const struct mapping_entry unit = {.column = "a", .path = "value.x", .unit = UNIT_MS};
    expect_fault(KIT_TABLE(kit_column("a", TYPE_TEXT)), spec(FORMAT_JSON, &unit, 1),
                 "column 'a': a unit is for a number that goes into a date or time, not for "
                 "value.x into text",
                 "Take the unit away");
    static const struct mapping_entry meta = {
        .column = "a", .path = "meta.timestamp", .unit = UNIT_MS};
    expect_fault(KIT_TABLE(kit_column("a", TYPE_TIMESTAMP)), spec(FORMAT_JSON, &meta, 1),
                 "column 'a': a unit is for a number that goes into a date or time, not for "
                 "meta.timestamp into timestamp",
                 "Take the unit away");
}

static void test_bad_paths(void **state)
{
    (void) state;
    static const char *const bad[][2] = {
        {"", "it does not start with value, key, headers, item or meta"},
        {"value.", "a name is missing after a dot"},
        {"value..x", "a name is missing after a dot"},
        {"value.x.", "a name is missing after a dot"},
        {"value.\"x", "a quote is not closed"},
        {"value.\"x\"y", "a name with odd characters needs quotes"},
        {"value.a b", "a name with odd characters needs quotes"},
        {"headers.a.b", "a header has one name; quote it if it contains dots"},
        {"meta", "meta has topic, partition, offset, timestamp, index, schema and schema_id"},
        {"meta.x", "meta has topic, partition, offset, timestamp, index, schema and schema_id"},
        {"meta.topic.x",
         "meta has topic, partition, offset, timestamp, index, schema and schema_id"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char words[256];
        struct mapping_entry entry = {.column = "a", .path = bad[i][0]};
        snprintf(words, sizeof words, "column 'a': '%s' is not a path: %s", bad[i][0], bad[i][1]);
        expect_fault(KIT_TABLE(kit_column("a", TYPE_TEXT)), spec(FORMAT_JSON, &entry, 1), words,
                     "meta.topic");
    }
}

/* What is meant is known: the hint says how it is written. */
static void test_paths_of_other_programs(void **state)
{
    (void) state;
    static const char *const bad[][3] = {
        {"val", "it does not start with value, key, headers, item or meta", "'value.val'"},
        {"values.x", "it does not start with value, key, headers, item or meta", "'value.x'"},
        {"Value.x", "it does not start with value, key, headers, item or meta", "'value.x'"},
        {"courier.name", "it does not start with value, key, headers, item or meta",
         "'value.courier.name'"},
        {"$.x", "it does not start with value, key, headers, item or meta", "'value.x'"},
        {"$", "it does not start with value, key, headers, item or meta", "'value'"},
        {"a_root_of_many_letters.x", "it does not start with value, key, headers, item or meta",
         "'value.a_root_of_many_letters.x'"},
        {"a b", "it does not start with value, key, headers, item or meta", "meta.topic"},
        {"value.a[0]", "an array has no index here", "explode: value.a."},
        {"value[0].b", "an array has no index here", "explode: value."},
        {"items[0]", "it does not start with value, key, headers, item or meta", "meta.topic"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char words[256];
        struct mapping_entry entry = {.column = "a", .path = bad[i][0]};
        snprintf(words, sizeof words, "column 'a': '%s' is not a path: %s", bad[i][0], bad[i][1]);
        expect_fault(KIT_TABLE(kit_column("a", TYPE_TEXT)), spec(FORMAT_JSON, &entry, 1), words,
                     bad[i][2]);
    }
}

/* Without a table the same is found, and which of the values it is. */
static void test_check_without_a_table(void **state)
{
    (void) state;
    static const struct mapping_value values[] = {{.path = "value.a"}, {.path = "vlaue.b"}};
    struct mapping_entry entry = {.column = "a", .values = values, .value_count = 2};
    struct error err = {0};
    enum mapping_part part;
    size_t value;
    struct mapping_spec s = spec(FORMAT_JSON, &entry, 1);

    s.out_part = &part;
    assert_false(mapping_check(&s, &value, &err));
    assert_int_equal(part, MAPPING_COLUMN);
    assert_int_equal(value, 1);
    assert_string_equal(err.column, "a");
    entry = (struct mapping_entry){.column = "a", .path = "item.x"};
    assert_false(mapping_check(&s, &value, &err));
    assert_non_null(strstr(err.text, "column 'a': item.x: there are no elements"));
    s.explode = "value.items";
    assert_true(mapping_check(&s, &value, &err));
    entry.path = "keep";
    s.root = "key";
    assert_false(mapping_check(&s, &value, &err));
    assert_int_equal(part, MAPPING_ROOT);
    s.root = NULL;
    s.explode = "key";
    assert_false(mapping_check(&s, &value, &err));
    assert_int_equal(part, MAPPING_EXPLODE);
    s.explode = NULL;
    s.when = "value.a ==";
    assert_false(mapping_check(&s, &value, &err));
    assert_int_equal(part, MAPPING_WHEN);
    s.when = "value.a = 1";
    s.delete_when = "op";
    assert_false(mapping_check(&s, &value, &err));
    assert_int_equal(part, MAPPING_DELETE_WHEN);
    s.delete_when = NULL;
    entry = (struct mapping_entry){.column = "a", .sql = "1"};
    assert_true(mapping_check(&s, &value, &err));
}

static void test_paths_print_as_they_read(void **state)
{
    (void) state;
    static const char *const good[] = {
        "value",          "key",
        "headers",        "meta.topic",
        "meta.partition", "meta.offset",
        "meta.timestamp", "value.a",
        "value.a.b.c",    "value.\"a b\"",
        "value.\"\"",     "value.\"a\"\"b\".c",
        "key.x_y-z$1@",   "headers.\"a.b\"",
        "value.\xc3\xa9",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        _cleanup_buf_ struct buf text = {0};
        struct path p;
        struct error err;
        assert_true(path_parse(good[i], &p, &err));
        path_print(&p, true, &text);
        kit_assert_text(buf_cstr(&text), good[i]);
        path_done(&p);
    }
    _cleanup_buf_ struct buf text = {0};
    struct path p;
    struct error err;
    assert_true(path_parse("meta.offset", &p, &err));
    path_print(&p, false, &text);
    kit_assert_text(buf_cstr(&text), "offset");
    path_done(&p);
}

static void test_which_source_fits_which_type(void **state)
{
    (void) state;
    static const enum column_type types[] = {
        TYPE_BOOL,     TYPE_INT2,   TYPE_INT4,    TYPE_INT8,    TYPE_FLOAT4,    TYPE_FLOAT8,
        TYPE_NUMERIC,  TYPE_TEXT,   TYPE_VARCHAR, TYPE_BPCHAR,  TYPE_BYTEA,     TYPE_UUID,
        TYPE_JSON,     TYPE_JSONB,  TYPE_DATE,    TYPE_TIME,    TYPE_TIMESTAMP, TYPE_TIMESTAMPTZ,
        TYPE_INTERVAL, TYPE_INET,   TYPE_CIDR,    TYPE_MACADDR, TYPE_MACADDR8,  TYPE_ENUM,
        TYPE_ARRAY,    TYPE_HSTORE, TYPE_OTHER,   TYPE_MONEY,   TYPE_COMPOSITE,
    };
    _Static_assert(ARRAY_LEN(types) == COLUMN_TYPES, "each type once");
    static const char *const fits[][2] = {
        {"meta.topic", "-------ttt-------------e--o-c"},
        {"meta.partition", "-iiiffnttt----------------o$c"},
        {"meta.offset", "-iiiffnttt----------------o$c"},
        {"meta.timestamp", "---i--n-------d-tt-----------"},
        {"headers", "-------ttt--jj-----------ho-c"},
        {"headers.x", "biiiffntttyujjdtttvnnmmeaho$c"},
        {"key", "biiiffntttyujjdtttvnnmmeaho$c"},
        {"key.x", "biiiffntttyujjdtttvnnmmeaho$c"},
        {"value", "biiiffntttyujjdtttvnnmmeaho$c"},
        {"value.x", "biiiffntttyujjdtttvnnmmeaho$c"},
    };
    for (size_t i = 0; i < ARRAY_LEN(fits); i++) {
        for (size_t type = 0; type < ARRAY_LEN(types); type++) {
            struct mapping_entry entry = {.column = "a", .path = fits[i][0]};
            struct mapping_spec s = spec(FORMAT_JSON, &entry, 1);
            struct table *t = KIT_TABLE(kit_column("a", types[type]));
            struct error err;
            struct mapping *m = mapping_new(t, &s, 0, &err);
            if ((m != NULL) != (fits[i][1][type] != '-')) {
                print_error("%s into %s\n", fits[i][0], t->columns[0].type_name);
                fail();
            }
            if (m == NULL) {
                char words[128];
                snprintf(words, sizeof words, "column 'a': %s cannot go into %s", fits[i][0],
                         t->columns[0].type_name);
                kit_assert_text(err.text, words);
            }
            mapping_free(m);
            table_free(t);
        }
    }
}

static struct table *many_to_update(void)
{
    struct table *t = many_defaults(TARGET_OMIT_MAX + 2); /* one of them is the key */

    t->may_select = t->may_update = t->may_stage = true;
    t->uniques = mem_array(1, sizeof *t->uniques);
    t->uniques[0] = (struct unique){
        .is_primary = true, .columns = mem_zalloc(sizeof(uint32_t)), .column_count = 1};
    t->unique_count = 1;
    return t;
}

static void test_updates_are_mixed_where_all_columns_may_be_set(void **state)
{
    (void) state;
    struct mapping_spec s = spec(FORMAT_JSON, NULL, 0);
    s.action = ROW_UPDATE;
    struct table *t = many_to_update();
    t->may_set_all = true;
    struct mapping *m = make(t, s);
    assert_true(mapping_target(m)->mixes);
    assert_int_equal(mapping_target(m)->omit_count, TARGET_OMIT_MAX + 1);
    mapping_free(m);
    table_free(t);
    expect_fault(many_to_update(), s,
                 "table \"public\".\"t\": more than 127 columns that a record may lack are filled",
                 "Mode update can leave alone more of them");
}

static void test_what_numbers_of_times_are_without_a_schema(void **state)
{
    (void) state;
    struct table *t = KIT_TABLE(kit_column("day", TYPE_DATE), kit_column("n", TYPE_INT4),
                                kit_column("days", TYPE_ARRAY), kit_column("ms", TYPE_TIMESTAMP));
    kit_element(&t->columns[2], TYPE_DATE);
    static const struct mapping_entry entry = {
        .column = "ms", .path = "value.ts_ms", .unit = UNIT_MS};
    struct mapping_spec s = spec(FORMAT_JSON, &entry, 1);
    s.envelope = ENVELOPE_DEBEZIUM;
    struct mapping *m = make(t, s);
    expect_line(m, 0, "value.after.day",
                "date binary, without a schema numbers are days from postgresql, else "
                "rejected");
    expect_line(m, 1, "value.after.n", "int4 binary");
    expect_line(m, 2, "value.after.days",
                "date array binary, without a schema numbers are days from postgresql, else "
                "rejected");
    expect_line(m, 3, "value.ts_ms", "timestamp binary, numbers in ms");
    mapping_free(m);
    table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_by_name_and_convention),
        cmocka_unit_test(test_raw_by_name),
        cmocka_unit_test(test_keys_without_fields),
        cmocka_unit_test(test_entries_come_first),
        cmocka_unit_test(test_a_column_that_is_kept),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_omit_bits),
        cmocka_unit_test(test_at_most_127_omit_bits_where_rows_are_not_mixed),
        cmocka_unit_test(test_rows_are_mixed_where_that_can_be_done),
        cmocka_unit_test(test_how_other_types_go),
        cmocka_unit_test(test_faults_of_tables),
        cmocka_unit_test(test_faults_of_entries),
        cmocka_unit_test(test_bad_paths),
        cmocka_unit_test(test_paths_of_other_programs),
        cmocka_unit_test(test_check_without_a_table),
        cmocka_unit_test(test_paths_print_as_they_read),
        cmocka_unit_test(test_which_source_fits_which_type),
        cmocka_unit_test(test_updates_are_mixed_where_all_columns_may_be_set),
        cmocka_unit_test(test_what_numbers_of_times_are_without_a_schema),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
