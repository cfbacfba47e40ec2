/*
 * debezium.c, mapping_change.c, record.c: change events into rows. Those in debezium/ were written
 * by Debezium (debezium/capture.py); odd ones are made here.
 */
#include "row/envelope/debezium.h"

#include "row/record/record.h"

#include "row/kit.h"

#include <stdio.h>

static const char *corpus; /* the directory */

/* ---- a table, a mapping, a decoder and a batch ---- */

struct bench {
    struct table *table;
    struct mapping *mapping;
    struct decoder *decoder;
    struct batch *batch;
    uint32_t span;
    int64_t offset;
    struct error err;
};

static struct column key_column(const char *name, enum column_type type)
{
    struct column c = kit_column(name, type);

    c.not_null = true;
    return c;
}

static struct column typed_column(const char *name, enum column_type type, const char *type_name,
                                  int32_t typmod)
{
    struct column c = kit_column(name, type);

    free(c.type_name);
    c.type_name = mem_strdup(type_name);
    c.typmod = typmod;
    return c;
}

/* The first column is the primary key. */
static struct table *with_key(struct table *t)
{
    t->may_select = t->may_update = t->may_delete = t->may_truncate = true;
    t->uniques = mem_array(1, sizeof *t->uniques);
    t->uniques[0] = (struct unique){
        .is_primary = true, .columns = mem_array(1, sizeof(uint32_t)), .column_count = 1};
    t->unique_count = 1;
    return t;
}

static struct mapping_spec change_spec(enum row_action action)
{
    return (struct mapping_spec){
        .format = FORMAT_JSON,
        .envelope = ENVELOPE_DEBEZIUM,
        .precision = PRECISION_ADAPTIVE,
        .decimal = DECIMAL_AUTO,
        .action = action,
        .deletes = action == ROW_INSERT ? DELETE_OFF : DELETE_CHANGE,
        .truncates = true,
    };
}

static struct bench bench_of(struct table *table, struct mapping_spec spec)
{
    struct bench b = {.table = table, .decoder = decoder_new(), .batch = batch_new()};

    b.mapping = kit_mapping(table, &spec, 0);
    b.span = batch_span(b.batch, &b, "things", 0, 1, 0);
    return b;
}

static void bench_done(struct bench *b)
{
    batch_free(b->batch);
    decoder_free(b->decoder);
    mapping_free(b->mapping);
    table_free(b->table);
}

static bool take(struct bench *b, struct message msg)
{
    batch_record_begin(b->batch, b->span, b->offset++, -1, -1);
    bool ok = record_rows(b->decoder, &(struct record_route){.mapping = b->mapping}, &msg, b->batch,
                          &b->err);
    batch_record_end(b->batch);
    return ok;
}

static void expect_taken(struct bench *b, const char *key, const char *value)
{
    if (!take(b, kit_message(key, value))) {
        print_error("%s\n", b->err.text);
        fail();
    }
}

static void expect_fault(struct bench *b, const char *key, const char *value, const char *words)
{
    if (take(b, kit_message(key, value))) {
        print_error("taken: %s\n", value);
        fail();
    }
    assert_int_equal(b->err.class, ERROR_RECORD);
    kit_assert_text(b->err.text, words);
}

/* The rows of the batch in their order: "P 0001...", one line each. The batch is empty after it. */
static void rows_text(struct bench *b, struct buf *out)
{
    static const char letters[] = {
        [ROW_INSERT] = 'I', [ROW_IGNORE] = 'G',      [ROW_UPSERT] = 'P',   [ROW_UPDATE] = 'U',
        [ROW_DELETE] = 'D', [ROW_SOFT_DELETE] = 'M', [ROW_TRUNCATE] = 'T',
    };
    struct batch_walk walk;
    size_t part;
    size_t row;

    buf_clear(out);
    batch_walk_begin(&walk, b->batch);
    while (batch_walk_next(&walk, &part, &row)) {
        const struct batch_part *p = &b->batch->parts[part];
        struct str tuple = batch_tuple(p, row);
        buf_printf(out, "%c ", letters[p->action]);
        for (size_t i = 0; i < tuple.n; i++) {
            buf_printf(out, "%02x", (uint8_t) tuple.p[i]);
        }
        buf_add_u8(out, '\n');
    }
    batch_walk_done(&walk);
    batch_clear(b->batch);
    b->span = batch_span(b->batch, b, "things", 0, 1, b->offset);
}

static void expect_rows(struct bench *b, const char *want)
{
    _cleanup_buf_ struct buf got = {0};

    rows_text(b, &got);
    kit_assert_text(buf_cstr(&got), want);
}

/* ---- as Debezium writes them ---- */

/* As in debezium/capture.py. */
static struct bench corpus_bench(void)
{
    struct column columns[] = {
        key_column("id", TYPE_INT4),
        kit_column("ok", TYPE_BOOL),
        kit_column("n", TYPE_NUMERIC),
        kit_column("n2", TYPE_NUMERIC),
        kit_column("note", TYPE_TEXT),
        kit_column("raw", TYPE_BYTEA),
        kit_column("who", TYPE_UUID),
        kit_column("doc", TYPE_JSONB),
        kit_column("day", TYPE_DATE),
        kit_column("t", TYPE_TIME),
        typed_column("t3", TYPE_TIME, "time(3)", 3),
        kit_column("ts", TYPE_TIMESTAMP),
        typed_column("ts3", TYPE_TIMESTAMP, "timestamp(3)", 3),
        kit_column("at", TYPE_TIMESTAMPTZ),
        kit_column("span", TYPE_INTERVAL),
        typed_column("bits", TYPE_OTHER, "bit(3)", 3),
        typed_column("place", TYPE_OTHER, "point", -1),
        kit_column("tags", TYPE_ARRAY),
        kit_column("times", TYPE_ARRAY),
        kit_column("amounts", TYPE_ARRAY),
        kit_column("big", TYPE_TEXT),
    };

    kit_element(&columns[17], TYPE_TEXT);
    kit_element(&columns[18], TYPE_TIMESTAMP);
    kit_element(&columns[19], TYPE_NUMERIC);
    return bench_of(with_key(kit_table(columns, ARRAY_LEN(columns))), change_spec(ROW_UPSERT));
}

/* A field of a line: up to `end`. \N is null. */
static char *field(char **at, char end)
{
    char *begin = *at;
    char *stop = strchr(begin, end);

    assert_non_null(stop);
    *stop = '\0';
    *at = stop + 1;
    return strcmp(begin, "\\N") == 0 ? NULL : begin;
}

static void read_corpus(struct bench *b, const char *name, struct buf *rows)
{
    _cleanup_mem_ char *path = mem_printf("%s/%s.tsv", corpus, name);
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t size = 0;

    assert_non_null(file);
    while (getline(&line, &size, file) > 0) {
        char *at = line;
        char *key = field(&at, '\t');
        expect_taken(b, key, field(&at, '\n'));
    }
    free(line);
    fclose(file);
    rows_text(b, rows);
}

/* One line of rows. */
static char *line_of(const struct buf *rows, int n)
{
    const char *at = (const char *) rows->p;

    for (; n > 0; n--) {
        at = strchr(at, '\n') + 1;
    }
    return mem_strndup(at, strcspn(at, "\n"));
}

static void expect_begin(const struct buf *rows, int n, const char *want)
{
    _cleanup_mem_ char *line = line_of(rows, n);

    if (strncmp(line, want, strlen(want)) != 0) {
        print_error("line %d: %s\n", n, line);
        fail();
    }
}

static void test_events_make_rows(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf rows = {0};
    struct bench b = corpus_bench();
    read_corpus(&b, "plain", &rows);
    (void) buf_cstr(&rows);
    expect_begin(&rows, 0,
                 "P 0015"
                 "0000000400000001"
                 "ffffffff");
    expect_begin(
        &rows, 1,
        "P 00150000000400000002"                           /* id */
        "0000000101"                                       /* ok */
        "00000014000600040000000104d2162e23340d801ed21388" /* n */
        "0000000c0002000040000002000c0bb8"                 /* n2 */
        "0000000368c3a4"                                   /* note */
        "0000000200ff"                                     /* raw */
        "00000010a0eebc999c0b4ef8bb6d6bb9bd380a11"         /* who */
        "00000011017b2262223a205b312c20322e35305d7d"       /* doc */
        "0000000400002279"                                 /* day */
        "000000080000000b18777a00"                         /* t */
        "000000080000000b18777838"                         /* t3 */
        "000000080002b583ce03da00"                         /* ts */
        "00000008fffca2fec4c07ee0"                         /* ts3 */
        "000000080002b58220dc9200"                         /* at */
        "00000010000000036c8bc080000000030000000c"         /* span */
        "00000003313031"                                   /* bits */
        "0000000a28312e352c2d322e3029"                     /* place */
        /* tags */
        "0000002400000001000000010000001700000003000000010000000161ffffffff00000003622063"
        "0000002c0000000100000001000000170000000200000001000000080002b583ce03da00000000087ff"
        "fffffffffffff" /* times */
        "0000002800000001000000010000001700000002000000010000000c00020000000000020001");
    /* infinities, as they are read back */
    expect_begin(&rows, 2,
                 "P 0015"
                 "0000000400000003"
                 "ffffffffffffffffffffffffffffffff"
                 "ffffffffffffffffffffffff"
                 "000000047fffffff"
                 "ffffffffffffffff"
                 "000000088000000000000000"
                 "000000087fffffffffffffff"
                 "000000087fffffffffffffff");
    expect_begin(&rows, 3,
                 "P 0014"
                 "0000000400000002"); /* without what did not change */
    expect_begin(&rows, 4,
                 "D 0001"
                 "0000000400000001");
    expect_begin(&rows, 5,
                 "P 0015"
                 "0000000400000004");
    expect_begin(&rows, 6,
                 "D 0001"
                 "0000000400000003");
    expect_begin(&rows, 7, "T 0000");
    bench_done(&b);
}

static void test_a_schema_changes_nothing(void **state)
{
    (void) state;
    _cleanup_buf_ struct buf plain = {0};
    _cleanup_buf_ struct buf schema = {0};
    _cleanup_buf_ struct buf again = {0};
    struct bench b = corpus_bench();
    read_corpus(&b, "plain", &plain);
    read_corpus(&b, "schema", &schema);
    kit_assert_text(buf_cstr(&schema), buf_cstr(&plain));
    read_corpus(&b, "schema", &again); /* which it remembers by now */
    kit_assert_text(buf_cstr(&again), buf_cstr(&plain));
    bench_done(&b);
}

/* ---- what each event does ---- */

/* id int4, note text, at timestamptz DEFAULT now(). */
static struct bench small_bench(struct mapping_spec spec)
{
    struct column at = kit_column("at", TYPE_TIMESTAMPTZ);

    at.has_default = true;
    return bench_of(
        with_key(KIT_TABLE(key_column("id", TYPE_INT4), kit_column("note", TYPE_TEXT), at)), spec);
}

#define ID_1 "0000000400000001"
#define ID_2 "0000000400000002"
#define NOTE_A "0000000161"
#define NOTE_B "0000000162"
#define NO_NOTE "ffffffff"
#define AT_2000 "000000080000000000000000"

static void test_each_operation(void **state)
{
    (void) state;
    struct mapping_spec spec = change_spec(ROW_UPSERT);
    spec.precision = PRECISION_MICROSECONDS;
    struct bench b = small_bench(spec);
    expect_taken(&b, NULL, "{\"op\":\"c\",\"before\":null,\"after\":{\"id\":1,\"note\":\"a\"}}");
    expect_taken(&b, NULL,
                 "{\"op\":\"r\",\"after\":{\"id\":2,\"note\":null,\"at\":946684800000000}}");
    expect_taken(&b, NULL, "{\"op\":\"u\",\"before\":null,\"after\":{\"id\":1,\"note\":\"b\"}}");
    expect_rows(&b, "P 0002" ID_1 NOTE_A "\n"
                    "P 0003" ID_2 NO_NOTE AT_2000 "\n"
                    "P 0002" ID_1 NOTE_B "\n");
    expect_taken(&b, NULL, "{\"op\":\"d\",\"before\":{\"id\":1,\"note\":null},\"after\":null}");
    expect_taken(&b, "{\"id\":1}", NULL);
    expect_taken(&b, NULL, "null");
    expect_taken(&b, NULL, "{\"op\":\"m\",\"message\":{\"prefix\":\"x\",\"content\":\"\"}}");
    expect_taken(&b, NULL, "{\"op\":\"t\",\"before\":null,\"after\":null}");
    expect_rows(&b, "D 0001" ID_1 "\nT 0000\n");
    bench_done(&b);
}

/* It counts milliseconds, whatever the unit of the source's own times. */
static void test_the_timestamp_of_the_record(void **state)
{
    (void) state;
    static const struct mapping_entry entry = {.column = "at", .path = "meta.timestamp"};
    struct mapping_spec spec = change_spec(ROW_UPSERT);
    spec.entries = &entry;
    spec.entry_count = 1;
    struct bench b = small_bench(spec);
    expect_taken(&b, NULL, "{\"op\":\"c\",\"after\":{\"id\":1,\"note\":\"a\"}}");
    expect_rows(&b, "P 0003" ID_1 NOTE_A "000000080002b58341728608\n");
    bench_done(&b);
}

static void test_the_key_of_a_delete(void **state)
{
    (void) state;
    struct bench b = small_bench(change_spec(ROW_UPSERT));
    const char *bare = "{\"op\":\"d\",\"before\":null}";
    expect_taken(&b, "{\"id\":2}",
                 "{\"op\":\"d\",\"before\":{\"id\":1}}"); /* the row's own first */
    expect_taken(&b, "{\"id\":2}", bare);
    expect_taken(&b, "{\"schema\":{\"type\":\"struct\"},\"payload\":{\"id\":1}}", bare);
    expect_taken(&b, "{\"schema\":{\"type\":\"struct\"},\"payload\":{\"id\":2}}", bare);
    expect_taken(&b, "{\"schema\":null,\"payload\":{\"id\":1}}", bare);
    expect_taken(&b, "{ \"payload\": {\"id\": 2}, \"schema\": {\"type\":\"struct\"} }", bare);
    expect_rows(&b, "D 0001" ID_1 "\nD 0001" ID_2 "\nD 0001" ID_1 "\nD 0001" ID_2 "\nD 0001" ID_1
                    "\nD 0001" ID_2 "\n");
    expect_fault(&b, NULL, bare,
                 "column 'id': field 'id' is missing and the column is part of the key");
    expect_fault(&b, "{\"no\":1}", bare,
                 "column 'id': field 'id' is missing and the column is part of the key");
    expect_fault(&b, "1", bare, "the key is a number, not a JSON object");
    expect_fault(&b, "{", bare, "the key: not valid JSON: expected a name in quotes at byte 2");
    expect_rows(&b, "");
    bench_done(&b);
}

static void test_a_change_of_the_key(void **state)
{
    (void) state;
    struct bench b = small_bench(change_spec(ROW_UPSERT));
    expect_taken(&b, NULL,
                 "{\"op\":\"u\",\"before\":{\"id\":1,\"note\":\"a\"},"
                 "\"after\":{\"id\":2,\"note\":\"b\"}}");
    expect_taken(&b, NULL,
                 "{\"op\":\"u\",\"before\":{\"id\":2,\"note\":\"b\"},"
                 "\"after\":{\"id\":2,\"note\":\"a\"}}");
    expect_taken(&b, NULL,
                 "{\"op\":\"u\",\"before\":{\"id\":null},\"after\":{\"id\":1,\"note\":\"a\"}}");
    expect_rows(&b, "D 0001" ID_1 "\nP 0002" ID_2 NOTE_B "\nP 0002" ID_2 NOTE_A
                    "\nP 0002" ID_1 NOTE_A "\n");
    bench_done(&b);
    struct mapping_spec keeps = change_spec(ROW_UPSERT);
    keeps.deletes = DELETE_OFF;
    b = small_bench(keeps);
    expect_taken(&b, NULL,
                 "{\"op\":\"u\",\"before\":{\"id\":1},\"after\":{\"id\":2,\"note\":\"b\"}}");
    expect_taken(&b, NULL, "{\"op\":\"d\",\"before\":{\"id\":2}}");
    expect_rows(&b, "P 0002" ID_2 NOTE_B "\n");
    bench_done(&b);
}

static void test_kinds_of_keys_that_differ(void **state)
{
    (void) state;
    struct bench b = bench_of(with_key(KIT_TABLE(key_column("id", TYPE_BOOL))),
                              change_spec(ROW_UPSERT));
    expect_taken(&b, NULL, "{\"op\":\"u\",\"before\":{\"id\":true},\"after\":{\"id\":false}}");
    expect_taken(&b, NULL, "{\"op\":\"u\",\"before\":{\"id\":true},\"after\":{\"id\":true}}");
    expect_taken(&b, NULL, "{\"op\":\"u\",\"before\":{\"id\":\"t\"},\"after\":{\"id\":true}}");
    expect_rows(&b, "D 00010000000101\nP 00010000000100\nP 00010000000101\n"
                    "D 00010000000101\nP 00010000000101\n");
    bench_done(&b);
}

static void test_modes(void **state)
{
    (void) state;
    struct mapping_spec history = change_spec(ROW_INSERT);
    struct bench b = small_bench(history);
    expect_taken(&b, NULL, "{\"op\":\"c\",\"after\":{\"id\":1,\"note\":\"a\"}}");
    expect_taken(&b, NULL,
                 "{\"op\":\"u\",\"before\":{\"id\":1},\"after\":{\"id\":2,\"note\":\"b\"}}");
    expect_taken(&b, NULL, "{\"op\":\"d\",\"before\":{\"id\":2,\"note\":\"b\"}}");
    expect_taken(&b, NULL, "{\"op\":\"t\"}");
    expect_rows(&b, "I 0002" ID_1 NOTE_A "\nI 0002" ID_2 NOTE_B "\nI 0002" ID_2 NOTE_B "\n");
    bench_done(&b);
    struct mapping_spec update = change_spec(ROW_UPDATE);
    update.truncates = false;
    b = small_bench(update);
    expect_taken(&b, NULL, "{\"op\":\"c\",\"after\":{\"id\":1,\"note\":\"a\"}}");
    expect_taken(&b, NULL, "{\"op\":\"t\"}");
    expect_rows(&b, "U 0002" ID_1 NOTE_A "\n");
    bench_done(&b);
}

static void test_soft_deletes(void **state)
{
    (void) state;
    struct mapping_spec spec = change_spec(ROW_UPSERT);
    spec.soft_delete = "gone";
    struct bench b = bench_of(
        with_key(KIT_TABLE(key_column("id", TYPE_INT4), kit_column("gone", TYPE_BOOL))), spec);
    expect_taken(&b, NULL, "{\"op\":\"c\",\"after\":{\"id\":1}}");
    expect_taken(&b, NULL, "{\"op\":\"d\",\"before\":{\"id\":1}}");
    expect_rows(&b, "P 0002" ID_1 "0000000100\nM 0002" ID_1 "0000000101\n");
    bench_done(&b);
}

static void test_paths_lead_into_the_envelope(void **state)
{
    (void) state;
    static const struct mapping_entry entries[] = {
        {.column = "op", .path = "value.op"},
        {.column = "was", .path = "value.before.note"},
        {.column = "lsn", .path = "value.source.lsn"},
        {.column = "ts", .path = "value.ts_ms", .unit = UNIT_MS},
    };
    struct mapping_spec spec = change_spec(ROW_INSERT);
    spec.entries = entries;
    spec.entry_count = ARRAY_LEN(entries);
    const char *event = "{\"op\":\"u\",\"before\":{\"note\":\"a\"},\"after\":{\"note\":\"b\"},"
                        "\"source\":{\"lsn\":2},\"ts_ms\":946684800000}";
    _cleanup_mem_ char *wrapped = mem_printf("{\"schema\":{\"type\":\"struct\"},\"payload\":%s}",
                                             event);
    const char *row = "I 0005" NOTE_B "0000000175" NOTE_A "000000080000000000000002" AT_2000 "\n";
    struct bench b = bench_of(KIT_TABLE(kit_column("note", TYPE_TEXT), kit_column("op", TYPE_TEXT),
                                        kit_column("was", TYPE_TEXT), kit_column("lsn", TYPE_INT8),
                                        kit_column("ts", TYPE_TIMESTAMPTZ)),
                              spec);
    expect_taken(&b, NULL, event);
    expect_rows(&b, row);
    expect_taken(&b, NULL, wrapped);
    expect_rows(&b, row);
    expect_taken(&b, NULL, "{\"op\":\"d\",\"before\":{\"note\":\"a\"},\"after\":null}");
    expect_rows(&b, "I 0005" NOTE_A "0000000164" NOTE_A "ffffffff"
                    "ffffffff\n");
    bench_done(&b);
}

/* ---- schemas ---- */

#define DECIMAL(scale)                                                                             \
    "{\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\",\"parameters\":"       \
    "{\"scale\":\"" scale "\"},\"field\":\"n\"}"
#define SCHEMA(fields)                                                                             \
    "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"struct\",\"fields\":[" fields        \
    "],\"field\":\"after\"}]},\"payload\":"

static void test_schemas_are_told_apart(void **state)
{
    (void) state;
    struct bench b = bench_of(
        with_key(KIT_TABLE(key_column("id", TYPE_INT4), kit_column("n", TYPE_TEXT))),
        change_spec(ROW_UPSERT));
    const char *after = "{\"op\":\"c\",\"after\":{\"id\":1,\"n\":\"DA==\"}}}";
    for (int round = 0; round < 3; round++) {
        _cleanup_mem_ char *one = mem_printf("%s%s", SCHEMA(DECIMAL("1")), after);
        _cleanup_mem_ char *two = mem_printf("%s%s", SCHEMA(DECIMAL("2")), after);
        _cleanup_mem_ char *none = mem_printf("%s%s", SCHEMA(""), after);
        expect_taken(&b, NULL, one);
        expect_taken(&b, NULL, two);
        expect_taken(&b, NULL, none);
        expect_rows(&b, "P 0002" ID_1 "00000003312e32\n"
                        "P 0002" ID_1 "00000004302e3132\n"
                        "P 0002" ID_1 "0000000444413d3d\n");
    }
    bench_done(&b);
}

static void test_more_schemas_than_are_remembered(void **state)
{
    (void) state;
    struct bench b = bench_of(
        with_key(KIT_TABLE(key_column("id", TYPE_INT4), kit_column("n", TYPE_TEXT))),
        change_spec(ROW_UPSERT));
    for (int i = 0; i < 600; i++) {
        _cleanup_mem_ char *value = mem_printf(
            "{\"schema\":{\"type\":\"struct\",\"version\":%d,\"fields\":[{\"type\":\"struct\","
            "\"fields\":[" DECIMAL("1") "],\"field\":\"after\"}]},\"payload\":"
                                        "{\"op\":\"c\",\"after\":{\"id\":1,\"n\":\"DA==\"}}}",
            i % 300);
        expect_taken(&b, NULL, value);
        expect_rows(&b, "P 0002" ID_1 "00000003312e32\n");
    }
    bench_done(&b);
}

#define CREATED "{\"op\":\"c\",\"after\":{\"id\":1,\"note\":\"a\"}}"

static void test_odd_forms_of_the_schema_part(void **state)
{
    (void) state;
    struct bench b = small_bench(change_spec(ROW_UPSERT));
    static const char *const same[] = {
        "{\"schema\":{\"type\":\"struct\"},\"payload\":" CREATED "}",
        "{\"schema\":{\"type\":\"struct\"},\"payload\":" CREATED ",\"x\":1}",
        "{\"schema\":{\"type\":\"struct\"},\"payload\":" CREATED "} ",
        "{\"schema\":{\"fields\":1},\"payload\":" CREATED "}",
        "{\"schema\":{\"fields\":[1,{\"field\":2}]},\"payload\":" CREATED "}",
        "{\"schema\":null,\"payload\":" CREATED "}",
        "{\"schema\":\"x\",\"payload\":" CREATED "}",
    };
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        expect_taken(&b, NULL, same[i]);
        expect_rows(&b, "P 0002" ID_1 NOTE_A "\n");
    }
    expect_taken(&b, NULL, "{\"schema\":{\"type\":\"struct\"},\"payload\":null}");
    expect_rows(&b, "");
    expect_fault(&b, NULL, "{\"schema\":{\"type\":\"struct\"},\"payload\":1}",
                 "the value is not a change event: it has no field 'op'");
    expect_fault(&b, NULL, "{\"schema\":{\"type\":\"struct\"},\"payload\":{\"op\":}}",
                 "the value: not valid JSON: unexpected character at byte 45");
    bench_done(&b);
}

/* ---- what the source did not report ---- */

/* id int4, note text, big text NOT NULL. */
static struct bench large_bench(struct mapping_spec spec)
{
    return bench_of(with_key(KIT_TABLE(key_column("id", TYPE_INT4), kit_column("note", TYPE_TEXT),
                                       key_column("big", TYPE_TEXT))),
                    spec);
}

#define UNAVAILABLE "\"__debezium_unavailable_value\""

static void test_unavailable_values_are_left_out(void **state)
{
    (void) state;
    struct bench b = large_bench(change_spec(ROW_UPSERT));
    expect_taken(&b, NULL,
                 "{\"op\":\"u\",\"after\":{\"id\":1,\"note\":" UNAVAILABLE ",\"big\":\"a\"}}");
    expect_taken(&b, NULL,
                 "{\"op\":\"u\",\"after\":{\"id\":1,\"note\":\"a\",\"big\":" UNAVAILABLE "}}");
    expect_taken(&b, NULL, "{\"op\":\"u\",\"after\":{\"id\":1,\"note\":null,\"big\":\"a\"}}");
    expect_rows(&b, "P 0002" ID_1 NOTE_A "\n"
                    "U 0002" ID_1 NOTE_A "\n" /* an INSERT without it would fail */
                    "P 0003" ID_1 NO_NOTE NOTE_A "\n");
    bench_done(&b);
}

static void test_each_form_of_an_unavailable_value(void **state)
{
    (void) state;
    static const char *const forms[] = {
        UNAVAILABLE,
        "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"",
        "{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}",
        "\"{\\\"__debezium_unavailable_value\\\":\\\"__debezium_unavailable_value\\\"}\"",
        "[" UNAVAILABLE "]",
        "[\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"]",
        "[\"b68a35a7-17ad-35b3-af2a-ae46edb4545a\"]",
        "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95"
        ",118,97,"
        "108,117,101]",
    };
    struct bench b = small_bench(change_spec(ROW_UPSERT));
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        _cleanup_mem_ char *value = mem_printf("{\"op\":\"u\",\"after\":{\"id\":1,\"note\":%s}}",
                                               forms[i]);
        expect_taken(&b, NULL, value);
        expect_rows(&b, "P 0001" ID_1 "\n");
    }
    bench_done(&b);
}

static void test_where_nothing_can_be_left_out(void **state)
{
    (void) state;
    const char *lost = "the source did not report the value of 'note'";
    const char *created = "{\"op\":\"c\",\"after\":{\"id\":1,\"note\":" UNAVAILABLE
                          ",\"big\":\"a\"}}";
    const char *updated = "{\"op\":\"u\",\"after\":{\"id\":1,\"note\":" UNAVAILABLE
                          ",\"big\":\"a\"}}";
    struct bench b = large_bench(change_spec(ROW_UPSERT));
    expect_fault(&b, NULL, created, lost);
    kit_assert_text(b.err.hint, "ALTER TABLE ... REPLICA IDENTITY FULL at the source.");
    expect_fault(
        &b, NULL, "{\"op\":\"c\",\"after\":{\"id\":1,\"note\":\"a\"}}",
        "column 'big': field 'big' is missing and the column is NOT NULL without a default");
    bench_done(&b);
    struct mapping_spec ignore = change_spec(ROW_IGNORE);
    b = large_bench(ignore);
    expect_fault(&b, NULL, updated, lost);
    bench_done(&b);
    b = large_bench(change_spec(ROW_UPDATE));
    expect_taken(&b, NULL, created);
    expect_rows(&b, "U 0002" ID_1 NOTE_A "\n");
    bench_done(&b);
    b = large_bench(change_spec(ROW_INSERT)); /* a history says what was reported */
    expect_taken(&b, NULL, updated);
    expect_rows(&b, "I 0003" ID_1 NO_NOTE NOTE_A "\n");
    bench_done(&b);
}

static void test_more_columns_than_can_be_left_out(void **state)
{
    (void) state;
    struct column columns[134];
    char name[8];
    columns[0] = key_column("id", TYPE_INT4);
    for (size_t i = 1; i < ARRAY_LEN(columns); i++) {
        snprintf(name, sizeof name, "c%zu", i);
        columns[i] = kit_column(name, i <= 10 ? TYPE_INT4 : TYPE_TEXT);
    }
    columns[133].has_default = true;
    struct bench b = bench_of(with_key(kit_table(columns, ARRAY_LEN(columns))),
                              change_spec(ROW_UPSERT));
    const struct target *t = mapping_target(b.mapping);
    assert_int_equal(t->columns[133].omit_bit, 0); /* the one with a DEFAULT comes first, */
    assert_int_equal(t->columns[11].omit_bit, 1);  /*   then those that may be stored apart */
    assert_int_equal(t->columns[132].omit_bit, 122);
    assert_int_equal(t->columns[1].omit_bit, 123);
    assert_int_equal(t->columns[4].omit_bit, 126);
    assert_int_equal(t->columns[5].omit_bit, -1);
    expect_fault(&b, NULL, "{\"op\":\"u\",\"after\":{\"id\":1,\"c5\":" UNAVAILABLE "}}",
                 "the source did not report the value of 'c5'");
    bench_done(&b);
}

/* ---- what is not a change event ---- */

static void test_faults(void **state)
{
    (void) state;
    struct bench b = small_bench(change_spec(ROW_UPSERT));
    static const char *const faults[][2] = {
        {"{\"id\":1}", "the value is not a change event: it has no field 'op'"},
        {"{\"op\":null}", "the value is not a change event: it has no field 'op'"},
        {"{\"op\":\"x\"}", "the value is not a change event: 'op' is \"x\""},
        {"{\"op\":\"cc\"}", "the value is not a change event: 'op' is \"cc\""},
        {"{\"op\":1}", "the value is not a change event: 'op' is 1"},
        {"{\"op\":\"c\"}", "the change event has no row in 'after'"},
        {"{\"op\":\"u\",\"after\":null}", "the change event has no row in 'after'"},
        {"{\"op\":\"c\",\"after\":\"{}\"}", "the change event has no row in 'after'"},
        {"{\"op\":\"c\",\"after\":{\"id\":\"x\"}}", "column 'id': \"x\" is not a valid int4"},
        {"{\"op\":\"c\",\"after\":{\"id\":null}}",
         "column 'id': value.after.id is null and the column is part of the key"},
        {"{\"op\":\"d\",\"before\":1}",
         "column 'id': field 'id': there is a number where an object should be"},
        {"1", "the value is a number, not a JSON object"},
        {"{\"op\"", "the value: not valid JSON: expected ':' at byte 6"},
    };
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        expect_fault(&b, "{}", faults[i][0], faults[i][1]);
        expect_rows(&b, "");
    }
    bench_done(&b);
}

/* ---- records that are no change events ---- */

static void test_records_of_the_connector_itself(void **state)
{
    (void) state;
    struct bench b = bench_of(with_key(KIT_TABLE(key_column("id", TYPE_INT4))),
                              change_spec(ROW_UPSERT));
    static const char *const own[] = {
        "{\"ts_ms\":5}",
        "{\"status\":\"BEGIN\",\"id\":\"1:2\",\"event_count\":null}",
        "{\"id\":\"1:2\",\"status\":\"END\",\"ts_ms\":5}",
        "{\"source\":{\"db\":\"d\"},\"ddl\":\"CREATE TABLE t ()\"}",
        "{\"tableChanges\":[],\"a_name_that_is_rather_long\":1,\"source\":{}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        expect_taken(&b, NULL, own[i]);
        expect_rows(&b, "");
    }
    static const char *const other[] = {
        "{}",
        "{\"ts_ms\":\"5\"}",
        "{\"ts_ms\":5,\"x\":1}",
        "{\"status\":\"DONE\",\"id\":\"1:2\"}",
        "{\"status\":\"BEGIN\",\"id\":1}",
        "{\"source\":\"db\",\"ddl\":\"\"}",
        "{\"source\":{}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(other); i++) {
        expect_fault(&b, NULL, other[i], "the value is not a change event: it has no field 'op'");
    }
    bench_done(&b);
}

/* As its transform to plain rows writes them. */
static void test_a_placeholder_without_an_envelope(void **state)
{
    (void) state;
    struct mapping_spec spec = {
        .format = FORMAT_JSON, .action = ROW_UPSERT, .placeholder = "__gone"};
    struct bench b = bench_of(
        with_key(KIT_TABLE(key_column("id", TYPE_INT2), kit_column("a", TYPE_TEXT),
                           key_column("b", TYPE_TEXT))),
        spec);
    expect_taken(&b, NULL, "{\"id\":1,\"a\":\"x\",\"b\":\"y\"}");
    expect_rows(&b, "P 000300000002000100000001780000000179\n");
    expect_taken(&b, NULL, "{\"id\":1,\"a\":\"x\",\"b\":\"__gone\"}");
    expect_rows(&b, "U 00020000000200010000000178\n");
    expect_fault(&b, NULL, "{\"id\":1,\"a\":\"x\"}",
                 "column 'b': field 'b' is missing and the column is NOT NULL without a default");
    expect_fault(&b, NULL, "{\"id\":\"__gone\",\"a\":\"x\",\"b\":\"y\"}",
                 "column 'id': field 'id' is missing and the column is part of the key");
    bench_done(&b);
}

/* By the names of their fields: a binary format has no text that could be looked at. */
static void test_own_records_by_their_shape(void **state)
{
    static const struct {
        const char *names[3];
        bool is_own;
    } all[] = {
        {{"ts_ms"}, true},
        {{"ts_ms", "id"}, false},
        {{"status", "id", "event_count"}, true},
        {{"source", "ddl", "ts_ms"}, true},
        {{"source", "op", "ddl"}, false},
        {{"id"}, false},
    };

    (void) state;
    assert_false(debezium_is_own(NULL));
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct shape_field fields[3] = {0};
        struct shape record = {.kind = SHAPE_RECORD, .fields = fields};
        while (record.field_count < 3 && all[i].names[record.field_count] != NULL) {
            fields[record.field_count].name = str_of(all[i].names[record.field_count]);
            record.field_count++;
        }
        assert_int_equal(debezium_is_own(&record), all[i].is_own);
        record.kind = SHAPE_MAP;
        assert_false(debezium_is_own(&record));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_make_rows),
        cmocka_unit_test(test_own_records_by_their_shape),
        cmocka_unit_test(test_a_schema_changes_nothing),
        cmocka_unit_test(test_each_operation),
        cmocka_unit_test(test_the_timestamp_of_the_record),
        cmocka_unit_test(test_the_key_of_a_delete),
        cmocka_unit_test(test_a_change_of_the_key),
        cmocka_unit_test(test_kinds_of_keys_that_differ),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_soft_deletes),
        cmocka_unit_test(test_paths_lead_into_the_envelope),
        cmocka_unit_test(test_schemas_are_told_apart),
        cmocka_unit_test(test_more_schemas_than_are_remembered),
        cmocka_unit_test(test_odd_forms_of_the_schema_part),
        cmocka_unit_test(test_unavailable_values_are_left_out),
        cmocka_unit_test(test_each_form_of_an_unavailable_value),
        cmocka_unit_test(test_where_nothing_can_be_left_out),
        cmocka_unit_test(test_more_columns_than_can_be_left_out),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_records_of_the_connector_itself),
        cmocka_unit_test(test_a_placeholder_without_an_envelope),
    };

    if (argc != 2) {
        print_error("usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    corpus = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
