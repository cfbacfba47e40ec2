/*
 * Reads Avro and Protobuf for tests/integration/test_avro_oracle.py and test_protobuf_oracle.py,
 * which compare it with what other implementations make of the same bytes. Not a test. One thread.
 *
 *     read_format FORMAT SCHEMA_FILE [PATH]...
 *
 * It is the schema's first record. A path has its names with / between them. stdin: records, each a
 * line of hexadecimal digits. stdout, one line for each, JSON:
 *     {"value": all of it, "cells": [what each path finds]}
 *     {"fault": "text"}
 * A cell is [kind], or [kind, value]; bytes are hexadecimal.
 */
#include "base/mem.h"
#include "row/format/format.h"
#include "row/json/escape.h"
#include "row/schema/compile.h"
#include "row/text/hex.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what, const char *text)
{
    fprintf(stderr, "read_format: %s: %s\n", what, text);
    exit(2);
}

static const struct format *format_named(const char *name)
{
    for (int id = 0; id < FORMAT_COUNT; id++) {
        const struct format *format = format_of((enum format_id) id);
        if (format->wants_schema && strcmp(format->name, name) == 0) {
            return format;
        }
    }
    die("no format with schemas", name);
    return NULL;
}

static const struct schema *schema_from(enum schema_language language, const char *path)
{
    _cleanup_buf_ struct buf text = {0};
    const struct schema *s;
    struct error err;
    FILE *f = fopen(path, "r");

    if (f == NULL) {
        die("cannot open", path);
    }
    for (int c = fgetc(f); c != EOF; c = fgetc(f)) {
        buf_add_u8(&text, (uint8_t) c);
    }
    fclose(f);
    if (!schema_compile(language, buf_str(&text), NULL, 0, &s, &err)) {
        die(path, err.text);
    }
    return s;
}

static uint32_t want(struct fields *f, const char *path)
{
    uint32_t node = 0;

    for (const char *p = path;; p++) {
        const char *end = strchrnul(p, '/');
        node = fields_add(f, node, (struct str){.p = p, .n = (size_t) (end - p)});
        p = end;
        if (*p == '\0') {
            break;
        }
    }
    f->nodes[node].is_whole = true;
    return node;
}

/* As JSON, without what kind of cell it is. */
static void put_value(struct buf *out, const struct cell *c)
{
    switch (c->kind) {
    case CELL_ABSENT:
    case CELL_NULL:
        buf_add_z(out, "null");
        return;
    case CELL_BOOL:
        buf_add_z(out, c->truth ? "true" : "false");
        return;
    case CELL_INT:
        buf_printf(out, "%" PRId64, c->number);
        return;
    case CELL_NUMBER:
    case CELL_JSON:
        buf_add_str(out, c->text);
        return;
    case CELL_STRING:
        escape_quote(out, c->text);
        return;
    case CELL_BYTES:
        buf_add_u8(out, '"');
        hex_add(out, c->text.p, c->text.n);
        buf_add_u8(out, '"');
        return;
    }
}

static void put_cell(struct buf *out, const struct cell *c)
{
    static const char *const kinds[] = {
        [CELL_ABSENT] = "absent", [CELL_NULL] = "null",     [CELL_BOOL] = "bool",
        [CELL_INT] = "int",       [CELL_NUMBER] = "number", [CELL_STRING] = "string",
        [CELL_JSON] = "json",     [CELL_BYTES] = "bytes",
    };

    buf_printf(out, "[\"%s\",", kinds[c->kind]);
    put_value(out, c);
    buf_add_z(out, "]");
}

int main(int argc, char **argv)
{
    _cleanup_buf_ struct buf out = {0};
    const struct format *format = format_named(argv[1]);
    const struct schema *schema = schema_from(format->language, argv[2]);
    struct format_scratch s = {0};
    struct fields f;
    struct error err;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    fields_init(&f);
    f.nodes[0].is_whole = true;
    uint32_t *nodes = mem_array((size_t) argc, sizeof *nodes);
    for (int i = 3; i < argc; i++) {
        nodes[i] = want(&f, argv[i]);
    }
    fields_seal(&f);
    struct cell *cells = mem_array(f.count, sizeof *cells);
    while ((n = getline(&line, &cap, stdin)) > 0) {
        struct str digits = {.p = line, .n = (size_t) n - 1};
        char *bytes = mem_alloc(digits.n / 2); /* of exactly that size, for the sanitizer */
        if (!hex_decode(digits, (uint8_t *) bytes)) {
            die("no hexadecimal digits", line);
        }
        const struct format_input in = {
            .what = "value",
            .bytes = {.p = bytes, .n = digits.n / 2},
            .names = &f,
            .any = true,
            .schema = schema,
            .shape = schema_root(schema, 0),
        };
        buf_clear(&out);
        if (format->read(&s, &in, cells, &err)) {
            buf_add_z(&out, "{\"value\":");
            put_value(&out, &cells[0]);
            buf_add_z(&out, ",\"cells\":[");
            for (int i = 3; i < argc; i++) {
                buf_add_z(&out, i > 3 ? "," : "");
                put_cell(&out, &cells[nodes[i]]);
            }
            buf_add_z(&out, "]}");
        } else {
            buf_add_z(&out, "{\"fault\":");
            escape_quote(&out, str_of(err.text));
            buf_add_z(&out, "}");
        }
        puts(buf_cstr(&out));
        free(bytes);
    }
    free(line);
    free(cells);
    free(nodes);
    fields_done(&f);
    format_scratch_done(&s);
    schema_drop(schema);
    return 0;
}
