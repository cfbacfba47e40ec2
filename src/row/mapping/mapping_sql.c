/*
 * Columns that PostgreSQL computes: the expressions, and what of a record they name. Each such
 * input becomes a field of the rows that no column of the table takes. Main thread, once per route.
 */
#include "base/mem.h"
#include "row/mapping/mapping_state.h"
#include "row/mapping/place.h"
#include "row/path/path.h"
#include "row/text/ascii.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct input {
    const char *name;
    const char *path;
    enum column_type type;
    const char *wire_name;
    bool of_element;
};

enum { INPUT_VALUE = 0, INPUT_PARTITION = 4 };

static const struct input inputs[] = {
    {"value", "value", TYPE_JSONB, "pg_catalog.jsonb", false},
    {"key", "key", TYPE_TEXT, "pg_catalog.text", false},
    {"headers", "headers", TYPE_JSONB, "pg_catalog.jsonb", false},
    {"topic", "meta.topic", TYPE_TEXT, "pg_catalog.text", false},
    {"partition", "meta.partition", TYPE_INT4, "pg_catalog.int4", false},
    {"offset", "meta.offset", TYPE_INT8, "pg_catalog.int8", false},
    {"timestamp", "meta.timestamp", TYPE_TIMESTAMPTZ, "pg_catalog.timestamptz", false},
    {"item", "item", TYPE_JSONB, "pg_catalog.jsonb", true},
    {"index", "meta.index", TYPE_INT4, "pg_catalog.int4", true},
};
_Static_assert(ARRAY_LEN(inputs) == MAPPING_INPUTS, "there is room for each");

/* Of a format without fields, whose values are not looked at. */
static const struct input raw_value = {"value", "value", TYPE_BYTEA, "pg_catalog.bytea", false};

static bool is_word_char(char c)
{
    return ascii_is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '_' ||
           c == '$' || (uint8_t) c >= 0x80;
}

/* Does the word stand anywhere in the text? In a literal or comment too: that costs a field. */
static bool mentions(const char *sql, const char *word)
{
    size_t n;

    for (; *sql; sql += MAX(n, (size_t) 1)) {
        n = 0;
        while (is_word_char(sql[n])) {
            n++;
        }
        if (n > 0 && ascii_is_word((struct str){.p = sql, .n = n}, word)) {
            return true;
        }
    }
    return false;
}

void mapping_add_expression(struct mapping *m, const struct column *c, const char *sql)
{
    struct target *t = &m->target;

    t->expressions = mem_realloc(t->expressions, t->expression_count + 1, sizeof *t->expressions);
    t->expressions[t->expression_count++] = (struct target_expression){
        .column = c,
        .sql = mem_strdup(sql),
    };
}

static bool is_wanted(const struct mapping *m, const char *name)
{
    for (size_t i = 0; i < m->target.expression_count; i++) {
        if (mentions(m->target.expressions[i].sql, name)) {
            return true;
        }
    }
    return false;
}

static void add_input(struct mapping *m, const struct input *in)
{
    struct error err;
    struct path path = {0};
    struct column *c = &m->inputs[m->input_count++];

    *c = (struct column){
        .name = mem_strdup(in->name),
        .type_name = mem_strdup(in->wire_name),
        .wire_name = mem_strdup(in->wire_name),
        .type = in->type,
        .wire_oid = column_type_oid(in->type),
        .wire_array_oid = column_type_array_oid(in->type),
        .typmod = -1,
    };
    bool ok = path_parse(in->path, &path, &err);
    assert(ok);
    m->fills[m->fill_count++] = (struct fill){
        .column = c,
        .is_input = true,
        .omit_bit = -1,
        .place = place_path(m, &path, in->type == TYPE_BYTEA),
        .source_text = mem_strdup(in->path),
    };
    path_done(&path);
}

/* A parsed root is an item too, but it has no number. */
static bool has_element_input(const struct mapping *m, const struct input *in)
{
    return m->explodes || (m->parses_root && in->type == TYPE_JSONB);
}

/* Rows have one at least, so that they can be counted however few columns they fill. */
void mapping_add_inputs(struct mapping *m)
{
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
        const struct input *in = &inputs[i];
        if ((in->of_element && !has_element_input(m, in)) || !is_wanted(m, in->name)) {
            continue;
        }
        add_input(m, !m->format->has_fields && i == INPUT_VALUE ? &raw_value : in);
    }
    if (m->target.expression_count > 0 && m->input_count == 0) {
        add_input(m, &inputs[INPUT_PARTITION]);
    }
}

void mapping_free_sql(struct mapping *m)
{
    for (size_t i = 0; i < m->input_count; i++) {
        free(m->inputs[i].name);
        free(m->inputs[i].type_name);
        free(m->inputs[i].wire_name);
    }
    for (size_t i = 0; i < m->target.expression_count; i++) {
        free(m->target.expressions[i].sql);
    }
    free(m->target.expressions);
}
