/* yaml_reader.c: the tree, its positions, and what is refused before anybody looks at options. */
#include "config/yaml_reader.h"

#include "config_kit.h"

static struct yaml_document read_ok(struct kit *kit, const char *text)
{
    struct yaml_document doc = {0};
    struct error err = {0};

    if (!yaml_document_read(kit_write_z(kit, "c.yaml", text), &doc, &err)) {
        print_error("%s\n", err.text);
        fail();
    }
    return doc;
}

static void read_fault(struct kit *kit, const void *bytes, size_t n, const char *want)
{
    struct yaml_document doc = {0};
    struct error err = {0};

    assert_false(yaml_document_read(kit_write(kit, "c.yaml", bytes, n), &doc, &err));
    assert_string_equal(kit_said(kit, &err), want);
    assert_null(doc.root);
}

static void read_fault_z(struct kit *kit, const char *text, const char *want)
{
    read_fault(kit, text, strlen(text), want);
}

static void expect_at(const struct yaml_node *n, unsigned line, unsigned column)
{
    assert_int_equal(n->pos.line, line);
    assert_int_equal(n->pos.column, column);
}

static void test_tree(void **state)
{
    struct yaml_document doc = read_ok(*state, "# c\na: 1\nb:\n  - 'x y'\n  - {c: \"\\u00e9\", d: "
                                               "}\n");
    const struct yaml_node *a = doc.root->first;
    const struct yaml_node *b = a->next;
    const struct yaml_node *map = b->first->next;

    assert_int_equal(doc.root->kind, YAML_MAP);
    assert_int_equal(doc.root->count, 2);
    assert_true(str_eq_z(a->key, "a"));
    assert_int_equal(a->key_pos.line, 2);
    assert_int_equal(a->key_pos.column, 1);
    assert_true(str_eq_z(a->text, "1"));
    assert_true(a->plain);
    expect_at(a, 2, 4);
    assert_int_equal(b->kind, YAML_LIST);
    assert_int_equal(b->count, 2);
    assert_ptr_equal(b->last, map);
    assert_true(str_eq_z(b->first->text, "x y"));
    assert_false(b->first->plain);
    expect_at(b->first, 4, 5);
    expect_at(map, 5, 5);
    assert_true(str_eq_z(map->first->text, "\xc3\xa9"));
    assert_true(yaml_node_is_null(map->last));
    assert_null(b->next);
    assert_string_equal(yaml_node_kind_name(doc.root), "a mapping");
    assert_string_equal(yaml_node_kind_name(b), "a list");
    assert_string_equal(yaml_node_kind_name(a), "a single value");
    assert_string_equal(yaml_node_kind_name(map->last), "nothing");
    yaml_document_done(&doc);
}

static void test_null(void **state)
{
    struct yaml_document doc = read_ok(*state, "[~, null, '', 'null', \"~\", Null, x]");
    static const bool want[] = {true, true, false, false, false, false, false};
    size_t i = 0;

    assert_false(yaml_node_is_null(doc.root));
    for (const struct yaml_node *n = doc.root->first; n != NULL; n = n->next) {
        assert_int_equal(yaml_node_is_null(n), want[i]);
        i += 1;
    }
    assert_int_equal(i, ARRAY_LEN(want));
    yaml_document_done(&doc);
}

static void test_bytes(void **state)
{
    struct yaml_document doc = read_ok(*state, "\xef\xbb\xbf"
                                               "a: 1\n");

    assert_int_equal(doc.root->first->key_pos.column, 1);
    yaml_document_done(&doc);
    read_fault_z(*state, "\xef\xbb\xbf", "c.yaml:1:1: the file contains no configuration");
    read_fault_z(*state, "a: \xe9\n", "c.yaml:1:4: the file is not valid UTF-8 here");
    read_fault_z(*state, "b: \xc3\xa9\na: x\xc3", "c.yaml:2:5: the file is not valid UTF-8 here");
    read_fault_z(*state, "a: \xed\xa0\x80", "c.yaml:1:4: the file is not valid UTF-8 here");
    read_fault(*state,
               "\xff\xfe"
               "a\0",
               4, "c.yaml:1:1: the file is not valid UTF-8 here");
    read_fault(*state, "a: b\0c", 6, "c.yaml:1:5: control character 0x00");
    read_fault_z(*state, "a: \xc3\xa9\x1b", "c.yaml:1:5: control character 0x1b");
    read_fault_z(*state, "a: \x7f", "c.yaml:1:4: control character 0x7f");
    read_fault_z(*state, "a: \xef\xbf\xbe\n",
                 "c.yaml:1:4: not valid YAML: control characters are not allowed");
}

static void test_tabs(void **state)
{
    struct yaml_document doc = read_ok(*state, "a:\t1\nb: x\ty\n");

    assert_true(str_eq_z(doc.root->first->text, "1"));
    yaml_document_done(&doc);
    read_fault_z(*state, "a:\n\tb: 1\n", "c.yaml:2:1: tabs cannot indent; use spaces");
    read_fault_z(*state, "\xc3\xa9: 1\na:\n  b: 1\n\tc: 1\n",
                 "c.yaml:4:1: tabs cannot indent; use spaces");
}

static void test_files(void **state)
{
    struct kit *kit = *state;
    struct yaml_document doc = {0};
    struct error err = {0};
    _cleanup_buf_ struct buf big = {0};

    assert_false(yaml_document_read("/none.yaml", &doc, &err));
    assert_string_equal(err.text, "/none.yaml: cannot be read: No such file or directory");
    assert_false(yaml_document_read(kit->dir, &doc, &err));
    assert_int_equal(err.class, ERROR_SETUP);
    assert_non_null(strstr(err.text, ": cannot be read: Is a directory"));
    if (geteuid() != 0) { /* root reads everything */
        chmod(kit_write_z(kit, "c.yaml", "a: 1\n"), 0);
        assert_false(yaml_document_read(kit->path, &doc, &err));
        assert_string_equal(kit_said(kit, &err), "c.yaml: cannot be read: Permission denied");
        chmod(kit->path, 0600);
    }
    buf_add_z(&big, "a: 1\n");
    buf_fill(&big, '#', (size_t) 1 << 20);
    read_fault(kit, big.p, big.n, "c.yaml: is larger than 1 MiB");
    big.n = (size_t) 1 << 20;
    assert_true(yaml_document_read(kit_write(kit, "c.yaml", big.p, big.n), &doc, &err));
    yaml_document_done(&doc);
    yaml_document_done(&doc);
}

static void test_refused(void **state)
{
    static const char anchors[] = "anchors (&) and aliases (*) are not supported";
    char want[128];

    snprintf(want, sizeof want, "c.yaml:1:2: %s", anchors);
    read_fault_z(*state, "[&a x]", want);
    read_fault_z(*state, "[&a [x]]", want);
    read_fault_z(*state, "[&a {x: y}]", want);
    read_fault_z(*state, "[*a ]", want);
    read_fault_z(*state, "{&a x: y}", want);
    read_fault_z(*state, "{*a : y}", want);
    read_fault_z(*state, "[!!str x]", "c.yaml:1:2: tags (!) are not supported");
    read_fault_z(*state, "[!x {}]", "c.yaml:1:2: tags (!) are not supported");
    read_fault_z(*state, "{!x a: b}", "c.yaml:1:2: tags (!) are not supported");
    read_fault_z(*state, "{[a]: b}", "c.yaml:1:2: a key must be a plain name");
    read_fault_z(*state, "{{a: b}: c}", "c.yaml:1:2: a key must be a plain name");
    read_fault_z(*state, "{a: 1, \"a\": 2}", "c.yaml:1:8: duplicate key 'a', first at line 1");
    read_fault_z(*state, "{\"a\\n\\e\": 1, \"a\\n\\e\": 2}",
                 "c.yaml:1:14: duplicate key 'a?\?', first at line 1");
    read_fault_z(*state, "[\"a\\0b\"]", "c.yaml:1:2: a NUL character cannot be part of a text");
    read_fault_z(*state, "{\"a\\0b\": 1}",
                 "c.yaml:1:2: a NUL character cannot be part of a "
                 "text");
    read_fault_z(*state, "a: 1\n--- \nb: 1\n",
                 "c.yaml:2:1: a second document starts here; one file holds one sink");
    read_fault_z(*state, "a: 1\n...\nb: 1\n",
                 "c.yaml:3:1: not valid YAML: did not find expected "
                 "<document start>");
}

/* Faults after a node has begun must free what was read. */
static void test_broken_later(void **state)
{
    read_fault_z(
        *state, "a: [1, 2\n",
        "c.yaml:2:1: not valid YAML: while parsing a flow sequence, did not find expected ',' "
        "or ']'");
    read_fault_z(
        *state, "a: {b: 1\n",
        "c.yaml:2:1: not valid YAML: while parsing a flow mapping, did not find expected ',' or "
        "'}'");
    read_fault_z(*state, "a: {b: [*x ]}\n",
                 "c.yaml:1:9: anchors (&) and aliases (*) are not supported");
    read_fault_z(*state, "%YAML 9.1\n---\na: 1\n",
                 "c.yaml:1:1: not valid YAML: found incompatible YAML document");
}

static void test_limits(void **state)
{
    _cleanup_buf_ struct buf b = {0};
    struct yaml_document doc = {0};
    struct kit *kit = *state;

    buf_fill(&b, '[', YAML_DEPTH_MAX);
    buf_fill(&b, ']', YAML_DEPTH_MAX);
    doc = read_ok(kit, buf_cstr(&b));
    yaml_document_done(&doc);
    buf_clear(&b);
    buf_fill(&b, '[', 100000);
    read_fault(kit, b.p, b.n, "c.yaml:1:17: nested too deeply");
    buf_clear(&b);
    for (int i = 0; i <= YAML_CHILDREN_MAX; i++) {
        buf_printf(&b, "- %d\n", i);
    }
    read_fault(kit, b.p, b.n, "c.yaml:10001:3: more than 10000 entries");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),   cmocka_unit_test(test_null),
        cmocka_unit_test(test_bytes),  cmocka_unit_test(test_tabs),
        cmocka_unit_test(test_files),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_broken_later),
    };

    return cmocka_run_group_tests(tests, kit_open, kit_close);
}
