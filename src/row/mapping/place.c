/* Places: nodes of the documents' trees, sources, choices. Main thread. */
#include "row/mapping/place.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static uint32_t tree_node(struct fields *tree, const struct path *p)
{
    uint32_t node = 0;

    for (size_t i = 0; i < p->name_count; i++) {
        bool is_column = p->is_column && i + 1 == p->name_count;
        node = is_column ? fields_add_row(tree, node, p->names[i])
                         : fields_add(tree, node, p->names[i]);
    }
    tree->nodes[node].is_whole = true;
    return node;
}

/* ---- sources ---- */

static enum source_kind source_kind_of(const struct mapping *m, const struct path *p, bool as_bytes)
{
    static const enum source_kind metas[] = {
        [META_TOPIC] = SOURCE_TOPIC,         [META_PARTITION] = SOURCE_PARTITION,
        [META_OFFSET] = SOURCE_OFFSET,       [META_TIMESTAMP] = SOURCE_TIMESTAMP,
        [META_INDEX] = SOURCE_INDEX,         [META_SCHEMA] = SOURCE_SCHEMA,
        [META_SCHEMA_ID] = SOURCE_SCHEMA_ID,
    };

    switch (p->root) {
    case PATH_META:
        return metas[p->meta];
    case PATH_HEADERS:
        return p->name_count > 0 ? SOURCE_HEADER : SOURCE_HEADERS;
    case PATH_KEY:
        return SOURCE_KEY_BYTES;
    case PATH_VALUE:
    case PATH_ITEM:
        break;
    }
    return m->format->has_fields && !as_bytes ? SOURCE_VALUE_JSON : SOURCE_VALUE_BYTES;
}

static struct place add_source(struct mapping *m, enum source_kind kind, struct str text)
{
    for (uint32_t i = 0; i < m->source_count; i++) {
        const struct source *s = &m->sources[i];
        if (s->kind == kind && str_eq(s->text, text)) {
            return (struct place){ORIGIN_SOURCE, i};
        }
    }
    m->sources = mem_grow(m->sources, &m->source_cap, m->source_count, sizeof *m->sources);
    m->sources[m->source_count] = (struct source){
        .kind = kind,
        .text = {.p = text.p != NULL ? mem_strndup(text.p, text.n) : NULL, .n = text.n},
    };
    return (struct place){ORIGIN_SOURCE, (uint32_t) m->source_count++};
}

/* ---- paths ---- */

struct place place_path(struct mapping *m, const struct path *p, bool as_bytes)
{
    m->reads_value |= p->root == PATH_VALUE && m->format->has_fields;
    bool in_key = p->root == PATH_KEY &&
                  (p->name_count > 0 || (m->key_format->has_value && !as_bytes));
    m->reads_key |= in_key;
    m->wants_headers |= p->root == PATH_HEADERS;
    m->reads_value |= p->root == PATH_META && p->meta >= META_SCHEMA;
    if (p->root == PATH_VALUE && p->name_count > 0) {
        m->takes_payload |= !p->is_column && str_eq_z(p->names[0], "payload");
        return (struct place){ORIGIN_VALUE, tree_node(&m->value, p)};
    }
    if (in_key) {
        return (struct place){ORIGIN_KEY, tree_node(&m->key, p)};
    }
    if (p->root == PATH_ITEM) {
        return (struct place){ORIGIN_ITEM, tree_node(&m->item, p)};
    }
    bool named = p->root == PATH_HEADERS && p->name_count > 0;
    enum source_kind kind = source_kind_of(m, p, as_bytes);
    m->value.nodes[0].is_whole |= kind == SOURCE_VALUE_JSON;
    return add_source(m, kind, named ? p->names[0] : (struct str){0});
}

struct place place_operand(struct mapping *m, const struct path *p)
{
    if (p->root == PATH_VALUE && p->name_count == 0 && m->format->has_fields) {
        m->reads_value = true;
        m->value.nodes[0].is_whole = true;
        return (struct place){ORIGIN_VALUE, 0};
    }
    return place_path(m, p, false);
}

struct place place_constant(struct mapping *m, const char *text)
{
    return add_source(m, SOURCE_CONSTANT, str_of(text));
}

struct place place_mark(struct mapping *m)
{
    return add_source(m, SOURCE_MARK, (struct str){0});
}

struct place place_rest(struct mapping *m)
{
    return add_source(m, SOURCE_REST, (struct str){0});
}

struct place place_choice(struct mapping *m, const struct place *of, size_t n)
{
    m->choices = mem_grow(m->choices, &m->choice_cap, m->choice_count, sizeof *m->choices);
    struct choice *c = &m->choices[m->choice_count];
    *c = (struct choice){
        .places = mem_array(n, sizeof *c->places),
        .cells = mem_array(n, sizeof *c->cells),
        .count = n,
    };
    memcpy(c->places, of, n * sizeof *of);
    return (struct place){ORIGIN_CHOICE, (uint32_t) m->choice_count++};
}

struct place place_parsed(struct mapping *m, struct place of)
{
    m->parsed = mem_grow(m->parsed, &m->parsed_cap, m->parsed_count, sizeof *m->parsed);
    m->parsed[m->parsed_count] = (struct parsed){.place = of};
    return (struct place){ORIGIN_PARSED, (uint32_t) m->parsed_count++};
}

/* ---- numbers ---- */

uint32_t place_cell(const struct mapping *m, struct place p)
{
    switch (p.origin) {
    case ORIGIN_VALUE:
        return p.number;
    case ORIGIN_KEY:
        return (uint32_t) mapping_key_cell(m) + p.number;
    case ORIGIN_ITEM:
        return (uint32_t) mapping_item_cell(m) + p.number;
    case ORIGIN_SOURCE:
        return (uint32_t) mapping_source_cell(m) + p.number;
    case ORIGIN_CHOICE:
        return (uint32_t) mapping_choice_cell(m) + p.number;
    case ORIGIN_PARSED:
        return (uint32_t) mapping_parsed_cell(m) + p.number;
    }
    __builtin_unreachable();
}

static bool has_field(const struct fields *tree, const char *name)
{
    for (size_t i = 1; i < tree->count; i++) {
        if (tree->nodes[i].parent == 0 && str_eq_z(tree->nodes[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* The ids of schemas may be in headers. The key of a change event is read when one needs it. */
static bool has_ids(const struct mapping *m)
{
    bool of_value = m->format->wants_schema && m->reads_value;
    bool of_key = m->key_format->wants_schema && (m->reads_key || m->key.count > 1);

    return m->framing.id != FRAMING_NONE && (of_value || of_key);
}

/* Columns that collect what no other takes look at all that is there. */
static void want_rest(struct mapping *m)
{
    if (m->unknown != UNKNOWN_IGNORE) {
        m->value.nodes[m->row].is_whole = true;
        m->value.nodes[m->change.before].is_whole = true;
    }
}

void place_seal(struct mapping *m)
{
    want_rest(m);
    m->wants_headers |= has_ids(m);
    fields_seal(&m->value);
    fields_seal(&m->key);
    fields_seal(&m->item);
    for (uint32_t i = 0; i < m->source_count; i++) {
        m->takes_key |= m->sources[i].kind == SOURCE_KEY_BYTES;
        if (m->sources[i].kind == SOURCE_INDEX) {
            m->has_index = true;
            m->index_cell = place_cell(m, (struct place){ORIGIN_SOURCE, i});
        }
    }
    m->cell_count = mapping_parsed_cell(m) + m->parsed_count;
    for (size_t i = 0; i < m->parsed_count; i++) {
        struct place of = m->parsed[i].place;
        m->parsed[i].cell = place_cell(m, of);
        m->parsed[i].of_item = m->explodes &&
                               (of.origin == ORIGIN_ITEM || of.origin == ORIGIN_CHOICE);
    }
    m->takes_payload |= has_field(&m->value, "schema") && has_field(&m->value, "payload");
    m->opens_key = has_field(&m->key, "payload");
    for (size_t i = 0; i < m->choice_count; i++) {
        struct choice *c = &m->choices[i];
        for (size_t k = 0; k < c->count; k++) {
            c->cells[k] = place_cell(m, c->places[k]);
        }
    }
}
