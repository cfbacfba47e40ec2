/* mapping_mode.c: what each mode wants of a table: a key, a version, a mark, privileges, no rules.
 */
#include "row/mapping/mapping.h"

#include "row/kit.h"

enum { ID, N, AT, GONE, COLUMNS };

/* id int8 with a primary key, n int4 with a unique index, at timestamptz, gone bool. */
static struct table *table_of(void)
{
    struct table *t = KIT_TABLE(kit_column("id", TYPE_INT8), kit_column("n", TYPE_INT4),
                                kit_column("at", TYPE_TIMESTAMPTZ), kit_column("gone", TYPE_BOOL));

    t->columns[ID].not_null = true;
    t->uniques = mem_array(2, sizeof *t->uniques);
    for (uint32_t i = 0; i < 2; i++) {
        t->uniques[i] = (struct unique){
            .is_primary = i == 0, .columns = mem_array(1, sizeof(uint32_t)), .column_count = 1};
        t->uniques[i].columns[0] = i == 0 ? ID : N;
    }
    t->unique_count = 2;
    t->may_select = t->may_update = t->may_delete = t->may_truncate = true;
    return t;
}

static void expect_taken(struct table *t, struct mapping_spec spec, const char *mode)
{
    _cleanup_buf_ struct buf text = {0};
    struct mapping *m = kit_mapping(t, &spec, 0);

    mapping_describe_mode(m, &text);
    kit_assert_text(buf_cstr(&text), mode);
    mapping_free(m);
    table_free(t);
}

static void expect_refused(struct table *t, struct mapping_spec spec, const char *words,
                           const char *hint)
{
    struct error err;
    enum mapping_part part = MAPPING_EXPLODE;

    spec.out_part = &part;
    assert_null(mapping_new(t, &spec, 0, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    kit_assert_text(err.text, words);
    if (strstr(err.hint, hint) == NULL) {
        kit_assert_text(err.hint, hint);
    }
    bool is_key = spec.key_count > 0 && strncmp(err.text, "key: ", 5) == 0;
    assert_int_equal(part, *err.column != '\0' ? MAPPING_COLUMN
                           : is_key            ? MAPPING_KEY
                                               : MAPPING_TABLE);
    table_free(t);
}

static void test_append_needs_nothing(void **state)
{
    (void) state;
    struct table *t = table_of();
    t->may_select = t->may_update = t->may_delete = false;
    expect_taken(t, (struct mapping_spec){.action = ROW_INSERT}, "mode append");
}

static void test_the_key(void **state)
{
    (void) state;
    static const char *const n[] = {"n"};
    static const char *const both[] = {"n", "id"};
    static const char *const typo[] = {"N"};
    struct mapping_spec upsert = {.action = ROW_UPSERT};
    expect_taken(table_of(), upsert, "mode upsert, key (id)");
    expect_taken(table_of(), (struct mapping_spec){.action = ROW_UPDATE, .key = n, .key_count = 1},
                 "mode update, key (n)");
    upsert.key = both;
    upsert.key_count = 2;
    expect_refused(table_of(), upsert,
                   "key: table \"public\".\"t\" has no unique index on (\"n\", \"id\")",
                   "CREATE UNIQUE INDEX CONCURRENTLY ON \"public\".\"t\" (\"n\", \"id\")");
    upsert.key = typo;
    upsert.key_count = 1;
    expect_refused(table_of(), upsert, "key: table \"public\".\"t\" has no column 'N'",
                   "case-sensitive");
}

static void test_a_key_of_several_columns(void **state)
{
    (void) state;
    static const char *const key[] = {"n", "id"};
    struct table *t = table_of();
    t->uniques[1].columns = mem_realloc(t->uniques[1].columns, 2, sizeof(uint32_t));
    t->uniques[1].columns[1] = ID;
    t->uniques[1].column_count = 2;
    expect_taken(t, (struct mapping_spec){.action = ROW_UPSERT, .key = key, .key_count = 2},
                 "mode upsert, key (id, n)");
}

static void test_a_table_without_a_primary_key(void **state)
{
    (void) state;
    struct table *t = table_of();
    t->uniques[0].is_primary = false;
    expect_refused(t, (struct mapping_spec){.action = ROW_UPSERT},
                   "table \"public\".\"t\" has no primary key, and the route names no key",
                   "ADD PRIMARY KEY");
    t = table_of();
    t->uniques[0].is_primary = false;
    expect_taken(t, (struct mapping_spec){.action = ROW_IGNORE}, "mode ignore");
}

static void test_a_key_that_nothing_fills(void **state)
{
    (void) state;
    struct table *t = table_of();
    t->columns[ID].identity = true; /* the database makes it */
    expect_refused(t, (struct mapping_spec){.action = ROW_UPSERT}, "key: nothing fills column 'id'",
                   "id: key.id");
    t = table_of();
    t->columns[ID].identity = true;
    expect_taken(t, (struct mapping_spec){.action = ROW_IGNORE}, "mode ignore");
    expect_taken(table_of(), (struct mapping_spec){.action = ROW_IGNORE}, "mode ignore, key (id)");
}

static struct table *table_of_identity(size_t column)
{
    struct table *t = table_of();

    t->columns[column].identity = t->columns[column].identity_always = true;
    return t;
}

static void test_an_identity_that_is_generated_always(void **state)
{
    (void) state;
    static const struct mapping_entry entries[] = {{.column = "id", .path = "value.id"},
                                                   {.column = "n", .path = "value.n"}};
    struct mapping_spec fills = {.entries = entries, .entry_count = 2, .action = ROW_UPSERT};
    expect_taken(table_of_identity(ID), fills, "mode upsert, key (id)");
    expect_taken(table_of_identity(N), fills, "mode upsert, key (id)");
    static const char *const version[] = {"n"};
    fills.only_if_newer = version;
    fills.only_if_newer_count = 1;
    expect_refused(
        table_of_identity(N), fills,
        "only_if_newer: column 'n' is GENERATED ALWAYS AS IDENTITY, which no update sets",
        "SET GENERATED BY DEFAULT");
    fills.only_if_newer_count = 0;
    fills.action = ROW_UPDATE;
    expect_taken(table_of_identity(ID), fills, "mode update, key (id)");
    expect_refused(
        table_of_identity(N), fills,
        "column 'n': it is GENERATED ALWAYS AS IDENTITY, which PostgreSQL does not update",
        "Take its entry out of columns:");
    static const struct mapping_entry computed = {.column = "n", .sql = "1"};
    fills.entries = &computed;
    fills.entry_count = 1;
    expect_refused(
        table_of_identity(N), fills,
        "column 'n': it is GENERATED ALWAYS AS IDENTITY, which PostgreSQL does not update",
        "SET GENERATED BY DEFAULT");
    fills.entry_count = 0;
    fills.envelope = ENVELOPE_DEBEZIUM;
    fills.deletes = DELETE_CHANGE;
    expect_taken(table_of_identity(N), fills, "mode update, key (id)");
}

static void test_what_a_delete_does_not_have(void **state)
{
    (void) state;
    static const struct mapping_entry of_key[] = {{.column = "id", .path = "key.id"}};
    static const struct mapping_entry of_value[] = {{.column = "id", .path = "value.after.id"}};
    struct mapping_spec spec = {.action = ROW_UPSERT, .deletes = DELETE_TOMBSTONE};
    expect_refused(table_of(), spec,
                   "key: column 'id' comes from value.id, which a tombstone does not have",
                   "id: key.id");
    spec.entries = of_key;
    spec.entry_count = 1;
    expect_taken(table_of(), spec, "mode upsert, key (id), a tombstone deletes");
    spec.deletes = DELETE_CHANGE;
    spec.envelope = ENVELOPE_DEBEZIUM;
    expect_taken(table_of(), spec, "mode upsert, key (id)");
    spec.entries = of_value;
    expect_refused(table_of(), spec,
                   "key: column 'id' comes from value.after.id, which a delete does not have",
                   "id: key.id");
}

static struct mapping_spec only_if_newer(const char *const *columns, size_t count)
{
    return (struct mapping_spec){
        .action = ROW_UPSERT, .only_if_newer = columns, .only_if_newer_count = count};
}

static void test_the_version(void **state)
{
    (void) state;
    static const char *const names[] = {"n", "at", "gone", "id", "x"};
    expect_taken(table_of(), only_if_newer(&names[0], 1),
                 "mode upsert, key (id), only if n is newer");
    expect_taken(table_of(), only_if_newer(&names[1], 1),
                 "mode upsert, key (id), only if at is newer");
    expect_refused(table_of(), only_if_newer(&names[2], 1), "only_if_newer: column 'gone' is bool",
                   "smallint");
    expect_refused(table_of(), only_if_newer(&names[3], 1),
                   "only_if_newer: column 'id' is part of the key", "of its own");
    expect_refused(table_of(), only_if_newer(&names[4], 1),
                   "only_if_newer: nothing fills column 'x' of table \"public\".\"t\"",
                   "x: meta.offset");
    struct mapping_spec spec = only_if_newer(&names[1], 1);
    spec.soft_delete = "at";
    expect_refused(table_of(), spec, "only_if_newer: column 'at' is what soft_delete sets",
                   "of its own");
}

static void test_a_version_of_several_columns(void **state)
{
    (void) state;
    static const char *const names[] = {"n", "at", "gone"};
    static const char *const turned[] = {"at", "n"};
    static const char *const many[TARGET_VERSION_MAX + 1];
    expect_taken(table_of(), only_if_newer(names, 2),
                 "mode upsert, key (id), only if (n, at) is newer");
    expect_taken(table_of(), only_if_newer(turned, 2),
                 "mode upsert, key (id), only if (at, n) is newer");
    expect_refused(table_of(), only_if_newer(names, 3), "only_if_newer: column 'gone' is bool",
                   "text");
    expect_refused(table_of(), only_if_newer(many, ARRAY_LEN(many)),
                   "only_if_newer: more than 8 columns", "");
}

static void test_a_tombstone_has_no_version_in_its_value(void **state)
{
    (void) state;
    static const char *const version = "n";
    static const struct mapping_entry entries[] = {{.column = "id", .path = "key.id"},
                                                   {.column = "n", .path = "meta.offset"}};
    struct mapping_spec spec = {.action = ROW_UPSERT,
                                .deletes = DELETE_TOMBSTONE,
                                .only_if_newer = &version,
                                .only_if_newer_count = 1,
                                .entries = entries,
                                .entry_count = 1};
    expect_refused(table_of(), spec, "only_if_newer: a tombstone has no value.n to compare",
                   "meta.offset");
    spec.entry_count = 2;
    expect_taken(table_of(), spec,
                 "mode upsert, key (id), only if n is newer, a tombstone deletes");
}

static void test_the_mark(void **state)
{
    (void) state;
    struct mapping_spec spec = {
        .action = ROW_UPSERT, .delete_when = "value.op = 'd'", .soft_delete = "gone"};
    expect_taken(table_of(), spec, "mode upsert, key (id), delete_when sets gone");
    spec.soft_delete = "at";
    expect_taken(table_of(), spec, "mode upsert, key (id), delete_when sets at");
    spec.soft_delete = "n";
    expect_refused(table_of(), spec, "column 'n': soft_delete: it is int4", "boolean");
    spec.soft_delete = "x";
    expect_refused(table_of(), spec, "soft_delete: table \"public\".\"t\" has no column 'x'",
                   "ADD COLUMN deleted_at");
    struct table *t = table_of();
    t->columns[AT].not_null = true;
    spec.soft_delete = "at";
    expect_refused(t, spec, "column 'at': soft_delete: it is timestamptz NOT NULL",
                   "is NULL while");
}

static void test_privileges(void **state)
{
    (void) state;
    struct mapping_spec spec = {.action = ROW_UPSERT, .delete_when = "value.op = 'd'"};
    struct table *t = table_of();
    t->may_select = false;
    expect_refused(t, spec, "table \"public\".\"t\": no SELECT privilege, which this mode needs",
                   "GRANT SELECT ON TABLE \"public\".\"t\" TO the role that");
    t = table_of();
    t->may_select = false;
    t->role = mem_strdup("its \"role");
    expect_refused(t, spec, "table \"public\".\"t\": no SELECT privilege, which this mode needs",
                   "TABLE \"public\".\"t\" TO \"its \"\"role\";");
    t = table_of();
    t->may_update = false;
    expect_refused(t, spec, "table \"public\".\"t\": no UPDATE privilege, which this mode needs",
                   "GRANT UPDATE");
    t = table_of();
    t->may_delete = false;
    expect_refused(t, spec, "table \"public\".\"t\": no DELETE privilege, which this mode needs",
                   "GRANT DELETE");
    t = table_of();
    t->may_delete = false; /* rows are marked, not deleted */
    spec.soft_delete = "gone";
    expect_taken(t, spec, "mode upsert, key (id), delete_when sets gone");
}

static void test_what_is_not_inserted(void **state)
{
    (void) state;
    struct table *t = table_of();
    struct mapping_spec spec = {.action = ROW_UPDATE};
    struct error err;
    struct mapping *m = mapping_new(t, &spec, 0, &err);
    assert_non_null(m);
    assert_int_equal(mapping_needs(m), MAY_SELECT | MAY_UPDATE);
    mapping_free(m);
    spec.action = ROW_UPSERT;
    m = mapping_new(t, &spec, 0, &err);
    assert_int_equal(mapping_needs(m), MAY_SELECT | MAY_INSERT | MAY_UPDATE);
    mapping_free(m);
    table_free(t);
}

static void test_rules(void **state)
{
    (void) state;
    struct table *t = table_of();
    t->has_rules = true;
    expect_taken(t, (struct mapping_spec){.action = ROW_INSERT}, "mode append");
    t = table_of();
    t->has_rules = true;
    expect_refused(t, (struct mapping_spec){.action = ROW_UPSERT},
                   "table \"public\".\"t\" has rules, and this mode cannot write to such a table",
                   "mode append");
    t = table_of();
    t->has_rules = true;
    t->columns[N].cast = true;
    t->columns[N].base_name = mem_strdup("int4");
    expect_refused(t, (struct mapping_spec){.action = ROW_INSERT},
                   "table \"public\".\"t\" has rules, and column 'n' (int4) needs a cast, which "
                   "COPY cannot do",
                   "DROP RULE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_needs_nothing),
        cmocka_unit_test(test_the_key),
        cmocka_unit_test(test_a_key_of_several_columns),
        cmocka_unit_test(test_a_table_without_a_primary_key),
        cmocka_unit_test(test_a_key_that_nothing_fills),
        cmocka_unit_test(test_an_identity_that_is_generated_always),
        cmocka_unit_test(test_what_a_delete_does_not_have),
        cmocka_unit_test(test_the_version),
        cmocka_unit_test(test_a_version_of_several_columns),
        cmocka_unit_test(test_a_tombstone_has_no_version_in_its_value),
        cmocka_unit_test(test_the_mark),
        cmocka_unit_test(test_privileges),
        cmocka_unit_test(test_what_is_not_inserted),
        cmocka_unit_test(test_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
