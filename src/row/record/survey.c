/* See survey.h. One thread. */
#include "row/record/survey.h"

#include "base/ascii.h"
#include "base/mem.h"
#include "row/mapping/mapping_state.h"
#include "row/record/guess.h"

#include <stdlib.h>

/* An object whose names are data, such as ids, would have ever more of them. */
#define FIELDS_MAX 200

/* ---- the columns ---- */

/* Does the place hold the whole object whose fields are columns, and perhaps more? */
static bool is_whole(const struct mapping *m, struct place place)
{
    if (place.origin == ORIGIN_PARSED) {
        place = m->parsed[place.number].place;
    }
    if (place.origin == ORIGIN_SOURCE) {
        enum source_kind kind = m->sources[place.number].kind;
        return kind == SOURCE_VALUE_JSON || kind == SOURCE_VALUE_BYTES || kind == SOURCE_REST;
    }
    if (place.origin == ORIGIN_ITEM) {
        return place.number == 0;
    }
    return !m->explodes && place.origin == ORIGIN_VALUE &&
           (place.number == m->row || fields_below(&m->value, m->row, place.number));
}

/* Then no field is left over. */
static bool takes_whole(const struct mapping *m)
{
    for (size_t i = 0; i < m->fill_count; i++) {
        if (is_whole(m, m->fills[i].place)) {
            return true;
        }
    }
    for (size_t i = 0; i < m->choice_count; i++) {
        for (size_t k = 0; k < m->choices[i].count; k++) {
            if (is_whole(m, m->choices[i].places[k])) {
                return true;
            }
        }
    }
    return !m->format->has_fields;
}

static bool is_counted(const struct fill *f)
{
    return !f->is_input && !f->is_mark;
}

void survey_init(struct survey *s, const struct mapping *m)
{
    *s = (struct survey){
        .mapping = m,
        .takes_whole = takes_whole(m),
        .columns = mem_array(m->fill_count, sizeof *s->columns),
    };
    for (size_t i = 0; i < m->fill_count; i++) {
        s->columns[i].name = m->fills[i].column->name;
        s->columns[i].source = m->fills[i].source_text;
        s->columns[i].filled = !is_counted(&m->fills[i]); /* never missed */
    }
    s->column_count = m->fill_count;
}

void survey_done(struct survey *s)
{
    for (size_t i = 0; i < s->field_count; i++) {
        free(s->fields[i].name);
    }
    free(s->fields);
    free(s->columns);
    buf_done(&s->plain);
    *s = (struct survey){0};
}

/* A string into a json column becomes a JSON string there, whatever it holds. */
static bool holds_document(const struct fill *f, const struct cell *c)
{
    return column_type_is_json(f->column->type) && c->kind == CELL_STRING &&
           guess_is_document(c->text);
}

/* An update of the source leaves out what it stores apart and did not change. */
static bool may_be_untold(const struct mapping *m, const struct fill *f, enum change_op op)
{
    return op == CHANGE_UPDATE && m->placeholder_count > 0 &&
           column_type_is_toastable(f->column->type);
}

static void count_columns(struct survey *s, const struct cell *cells, enum change_op op)
{
    for (size_t i = 0; i < s->column_count; i++) {
        const struct fill *f = &s->mapping->fills[i];
        const struct cell *c = &cells[f->cell];
        if (is_counted(f)) {
            s->columns[i].found += c->kind != CELL_ABSENT || may_be_untold(s->mapping, f, op);
            s->columns[i].filled += c->kind > CELL_NULL;
            s->columns[i].documents += holds_document(f, c);
        }
    }
}

/* ---- the fields ---- */

static void count_field(struct survey *s, struct str name)
{
    char *text = mem_strndup(name.p, name.n);

    for (size_t i = 0; i < s->field_count; i++) {
        if (str_eq_z(str_of(s->fields[i].name), text)) {
            s->fields[i].count++;
            free(text);
            return;
        }
    }
    if (s->field_count == FIELDS_MAX) {
        s->is_full = true;
        free(text);
        return;
    }
    s->fields = mem_grow(s->fields, &s->field_cap, s->field_count, sizeof *s->fields);
    s->fields[s->field_count++] = (struct survey_field){.name = text, .count = 1};
}

/* Are the names of fields in the record? Otherwise only its schema has them. */
static bool holds_names(const struct format *f)
{
    return !f->wants_schema || f->language == SCHEMA_JSON;
}

/* Of a row of one table. */
struct row {
    const struct fields *tree; /* the names that are asked for */
    uint32_t node;             /* the object's in that tree */
    uint32_t cell;
};

static void count_if_left(struct survey *s, const struct row *row, struct str name)
{
    if (fields_find(row->tree, row->node, name) == FIELD_NONE &&
        fields_find_row(row->tree, row->node, name) == FIELD_NONE) {
        count_field(s, name);
    }
}

/* What the document has. */
static void count_names(struct survey *s, const struct row *row, const struct cell *object)
{
    struct elements e;
    struct cell value;
    struct str name;

    if (!cell_is_object(object)) {
        return;
    }
    elements_open(&e, object->text, &s->plain);
    while (elements_next(&e)) {
        elements_name(&e, &name);
        count_if_left(s, row, name);
        elements_value(&e, &value);
    }
}

/* What its schema has, if it is a record: the reader of its format goes past what nothing wants. */
static void count_shape(struct survey *s, const struct row *row, const struct shape *shape)
{
    for (uint32_t i = 0; shape != NULL && i < shape->field_count; i++) {
        buf_clear(&s->plain);
        buf_add_str(&s->plain, shape->fields[i].name);
        buf_fill(&s->plain, 0, FIELD_PADDING);
        count_if_left(s, row, (struct str){(const char *) s->plain.p, shape->fields[i].name.n});
    }
}

/* ---- one record ---- */

static void add_row(struct survey *s, const struct decoder *d, const struct row *row)
{
    const struct mapping *m = s->mapping;
    const struct cell *cells = decoder_cells(d);

    s->rows++;
    count_columns(s, cells, decoder_change(d));
    if (s->takes_whole) {
        return;
    }
    if (row->tree == &m->value && !holds_names(m->format)) {
        count_shape(s, row, decoder_shape(d, m, row->cell));
    } else {
        count_names(s, row, &cells[row->cell]);
    }
}

/* In a string of the value, or an element of an array in it. */
static struct row item_row(const struct mapping *m)
{
    return (struct row){&m->item, 0, (uint32_t) mapping_item_cell(m)};
}

/* The object is in the value, or in a string of it. */
static void add_object(struct survey *s, const struct decoder *d)
{
    const struct mapping *m = s->mapping;
    const struct row row = m->parses_root ? item_row(m) : (struct row){&m->value, m->row, m->row};

    add_row(s, d, &row);
}

static void add_elements(struct survey *s, struct decoder *d)
{
    const struct mapping *m = s->mapping;
    struct elements elements;
    struct error err;

    if (!decoder_elements(d, m, &elements, &err)) {
        return;
    }
    for (uint32_t i = 0; elements_next(&elements); i++) {
        if (!decoder_element(d, m, &elements, i, &err)) {
            return;
        }
        if (!m->when_per_element || decoder_takes(d, m)) {
            const struct row row = item_row(m);
            add_row(s, d, &row);
        }
    }
}

void survey_add(struct survey *s, struct decoder *d, const struct message *msg)
{
    const struct mapping *m = s->mapping;
    struct error err;

    if (!decoder_read(d, m, msg, &err) || !decoder_judge(d, &err)) {
        return;
    }
    enum change_op op = decoder_change(d);
    if (m->explodes) {
        add_elements(s, d);
    } else if ((op == CHANGE_CREATE || op == CHANGE_UPDATE) && !decoder_deletes(d, m) &&
               !(m->deletes == DELETE_TOMBSTONE && decoder_is_tombstone(d, m))) {
        add_object(s, d);
    }
}

/* ---- what may be meant ---- */

/* The next letter or digit, in lower case; 0 at the end. */
static char next_plain(const char **p)
{
    while (**p == '_' || **p == '-') {
        (*p)++;
    }
    if (**p == '\0') {
        return '\0';
    }
    return ascii_lower(*(*p)++);
}

bool survey_same_words(const char *a, const char *b)
{
    char x;

    do {
        x = next_plain(&a);
        if (x != next_plain(&b)) {
            return false;
        }
    } while (x != '\0');
    return true;
}

const char *survey_meant(const struct survey *s, const char *field, bool *out_same)
{
    const char **names = mem_array(s->column_count, sizeof *names);
    const char *meant = NULL;
    size_t n = 0;

    for (size_t i = 0; i < s->column_count; i++) {
        if (s->columns[i].filled == 0) {
            names[n++] = s->columns[i].name;
        }
    }
    for (size_t i = 0; meant == NULL && i < n; i++) {
        meant = survey_same_words(field, names[i]) ? names[i] : NULL;
    }
    *out_same = meant != NULL && !str_eq_z(str_of(field), meant);
    meant = meant != NULL ? meant : str_nearest(field, names, n);
    free(names);
    return meant;
}

bool survey_wants_key(const struct mapping *m, bool whole)
{
    bool wants = m->reads_key && !whole;

    for (size_t i = 0; i < m->source_count; i++) {
        wants |= m->sources[i].kind == SOURCE_KEY_BYTES;
    }
    return wants;
}
