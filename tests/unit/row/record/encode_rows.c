/*
 * Encodes values for tests/integration/test_encode.py, which compares them with what PostgreSQL
 * itself makes of the same texts. Not a test. One thread.
 *
 * stdin, one case a line:  <type> TAB <typmod> TAB <unit> TAB <source> TAB <data>
 *     type    "int4", or "int4[23]": an array of these, and the number of the elements' type
 *     source  json: data is a JSON value, put into a document as field v;
 *             bytes: data is hexadecimal, and the key of the record
 * stdout, one answer a line, in order:
 *     ok <hexadecimal of a COPY BINARY tuple: the case's number from 0 as int8, and the value>
 *     fault <text>
 */
#include "base/mem.h"
#include "row/record/decoder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what, const char *text)
{
    fprintf(stderr, "encode_rows: %s: %s\n", what, text);
    exit(2);
}

static enum column_type type_of(const char *name)
{
    for (int t = 0; t < COLUMN_TYPES; t++) {
        if (strcmp(column_type_name((enum column_type) t), name) == 0) {
            return (enum column_type) t;
        }
    }
    die("no such type", name);
    return TYPE_OTHER;
}

static enum time_unit unit_of(const char *name)
{
    static const char *const names[] = {"", "s", "ms", "us", "ns"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i], name) == 0) {
            return (enum time_unit) i;
        }
    }
    die("no such unit", name);
    return UNIT_NONE;
}

static struct column typed(const char *name, enum column_type type, int32_t typmod)
{
    return (struct column){
        .name = mem_strdup(name),
        .type_name = mem_strdup(column_type_name(type)),
        .type = type,
        .typmod = typmod,
    };
}

static struct column column_of(const char *name, char *type, int32_t typmod)
{
    char *bracket = strchr(type, '[');

    if (bracket == NULL) {
        return typed(name, type_of(type), typmod);
    }
    struct column array = typed(name, TYPE_ARRAY, typmod);
    *bracket = '\0';
    array.element = mem_zalloc(sizeof *array.element);
    *array.element = typed("", type_of(type), typmod);
    array.element->wire_oid = (uint32_t) strtoul(bracket + 1, NULL, 10);
    return array;
}

/* A table of two columns: _offset, which numbers the cases, and v. */
static struct table *table_of(char *type, int32_t typmod)
{
    struct table *t = mem_zalloc(sizeof *t);

    t->schema = mem_strdup("public");
    t->name = mem_strdup("t");
    t->quoted = mem_strdup("\"public\".\"t\"");
    t->columns = mem_array(2, sizeof *t->columns);
    t->column_count = 2;
    t->columns[0] = typed("_offset", TYPE_INT8, -1);
    t->columns[1] = column_of("v", type, typmod);
    return t;
}

static void unhex(const char *text, struct buf *out)
{
    for (; *text; text += 2) {
        char byte[3] = {text[0], text[1], '\0'};
        char *end;
        unsigned long value = strtoul(byte, &end, 16);
        if (end != byte + 2) {
            die("not hexadecimal", text);
        }
        buf_add_u8(out, (uint8_t) value);
    }
}

static void answer(struct decoder *d, const struct mapping *m, const struct message *msg)
{
    _cleanup_buf_ struct buf out = {0};
    struct error err;
    omit_mask omit;

    if (!decoder_read(d, m, msg, &err) || !decoder_judge(d, &err) ||
        !decoder_settle(d, m, ROW_INSERT, &omit, &err) ||
        !decoder_write(d, m, ROW_INSERT, omit, &out, &err)) {
        printf("fault %s\n", err.text);
        return;
    }
    printf("ok ");
    for (size_t i = 0; i < out.n; i++) {
        printf("%02x", out.p[i]);
    }
    printf("\n");
}

static void encode(struct decoder *d, int64_t number, char **fields)
{
    struct error err;
    struct table *t = table_of(fields[0], (int32_t) strtol(fields[1], NULL, 10));
    bool bytes = strcmp(fields[3], "bytes") == 0;
    struct mapping_entry entry = {
        .column = "v", .path = bytes ? "key" : "value.v", .unit = unit_of(fields[2])};
    struct mapping_spec spec = {.format = FORMAT_JSON, .entries = &entry, .entry_count = 1};
    struct mapping *m = mapping_new(t, &spec, 0, &err);
    _cleanup_buf_ struct buf data = {0};

    if (m == NULL) {
        die("mapping", err.text);
    }
    struct message msg = {.topic = STR_LIT("t"), .offset = number, .timestamp_ms = -1};
    if (bytes) {
        unhex(fields[4], &data);
        msg.key = buf_str(&data);
    } else {
        buf_printf(&data, "{\"v\":%s}", fields[4]);
        msg.value = buf_str(&data);
    }
    answer(d, m, &msg);
    mapping_free(m);
    table_free(t);
}

int main(void)
{
    struct decoder *d = decoder_new();
    char *line = NULL;
    size_t cap = 0;

    for (int64_t number = 0; getline(&line, &cap, stdin) > 0; number++) {
        char *fields[5];
        char *at = line;
        line[strcspn(line, "\n")] = '\0';
        for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
            fields[i] = i + 1 < ARRAY_LEN(fields) ? strsep(&at, "\t") : at;
            if (fields[i] == NULL) {
                die("fields are missing", line);
            }
        }
        encode(d, number, fields);
    }
    free(line);
    decoder_free(d);
    return 0;
}
