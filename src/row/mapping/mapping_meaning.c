/*
 * What the values of a mapping are where their JSON does not say it: by what the route declares and
 * by the type of the column. Main thread, once per route.
 */
#include "base/mem.h"
#include "row/mapping/mapping_state.h"

#include <stdlib.h>
#include <string.h>

/* What Debezium writes for a value that it does not have, unless it is told another text. */
#define DEBEZIUM_PLACEHOLDER "__debezium_unavailable_value"

static void add_placeholder(struct mapping *m, const char *text)
{
    m->placeholders[m->placeholder_count++] = placeholder_new(text);
}

void mapping_meaning_begin(struct mapping *m, const struct mapping_spec *spec)
{
    m->meanings = (struct logical_rules){
        .precision = spec->precision,
        .texts = spec->decimal,
        .guesses_bytes = spec->rules.bytes == BYTES_AUTO,
        .has_documents = m->envelope == ENVELOPE_DEBEZIUM,
    };
    m->reads_value |= m->envelope != ENVELOPE_NONE;
    if (m->envelope != ENVELOPE_NONE && m->format->is_json) {
        m->wrapper = (struct wrapper_cells){
            .schema = fields_add(&m->value, 0, STR_LIT("schema")),
            .payload = fields_add(&m->value, 0, STR_LIT("payload")),
        };
    }
    if (m->envelope == ENVELOPE_DEBEZIUM) {
        add_placeholder(m, DEBEZIUM_PLACEHOLDER);
    }
    if (spec->placeholder != NULL) {
        add_placeholder(m, spec->placeholder);
    }
}

static bool is_of_row(const struct mapping *m, struct place place)
{
    bool value = place.origin == ORIGIN_VALUE && mapping_change_holds(m, place.number);

    return mapping_is_change(m) && (value || place.origin == ORIGIN_KEY);
}

static bool is_choice(const struct fill *f)
{
    return f->place.origin == ORIGIN_CHOICE;
}

/* Which place of a choice gives the value is known only of a record: each has its own meaning. */
static void number_meanings(struct mapping *m)
{
    m->meaning_count = m->fill_count;
    for (size_t i = 0; i < m->fill_count; i++) {
        if (is_choice(&m->fills[i])) {
            struct choice *c = &m->choices[m->fills[i].place.number];
            c->first_meaning = m->meaning_count;
            m->meaning_count += c->count;
        }
    }
}

struct meant mapping_meant(const struct mapping *m, size_t meaning)
{
    if (meaning < m->fill_count) {
        return (struct meant){m->fills[meaning].place, &m->fills[meaning]};
    }
    size_t i = 0;
    const struct choice *c = NULL;
    while (c == NULL || meaning < c->first_meaning || meaning >= c->first_meaning + c->count) {
        c = is_choice(&m->fills[i]) ? &m->choices[m->fills[i].place.number] : NULL;
        i++;
    }
    return (struct meant){c->places[meaning - c->first_meaning], &m->fills[i - 1]};
}

static uint64_t fingerprint_of(const struct mapping *m)
{
    _cleanup_buf_ struct buf text = {0};

    buf_printf(&text, "%d %d %d %d %d\n", m->meanings.guesses_bytes, m->meanings.has_documents,
               (int) m->meanings.precision, (int) m->meanings.texts, (int) m->value.policy);
    for (size_t i = 0; i < m->fill_count; i++) {
        const struct fill *f = &m->fills[i];
        buf_printf(&text, "%s %s %s %d\n", f->column->name, f->column->type_name, f->source_text,
                   (int) f->unit);
    }
    return str_hash(buf_str(&text));
}

static void set_meaning(struct mapping *m, const struct meant *v, enum connector connector,
                        struct logical *out)
{
    const struct fill *f = v->fill;
    bool declared = f->unit != UNIT_NONE && !f->of_event;

    if (declared || !is_of_row(m, v->place)) {
        *out = (struct logical){.kind = LOGICAL_PLAIN, .unit = f->unit};
    } else {
        logical_of_column(f->column, &m->meanings, connector, out);
    }
}

/* For people: what a number in a column of times counts, if its event has no schema. */
static void describe_units(struct mapping *m, size_t fill)
{
    const struct fill *f = &m->fills[fill];
    const struct column *c = f->column->element != NULL ? f->column->element : f->column;
    const struct logical *of[CONNECTORS];

    bool is_said = m->format->wants_schema || !is_of_row(m, f->place);
    if (is_said || f->is_input || !column_type_is_time(c->type)) {
        return;
    }
    for (int i = 0; i < CONNECTORS; i++) {
        const struct logical *l = &m->logicals[i][fill];
        of[i] = l->element != NULL ? l->element : l;
    }
    char **encoding = &m->encodings[f->column - m->table->columns];
    _cleanup_buf_ struct buf text = {0};
    buf_printf(&text, "%s, without a schema numbers are ", *encoding);
    logical_describe_units(of, &text);
    free(*encoding);
    *encoding = mem_strdup(buf_cstr(&text));
}

void mapping_meaning_end(struct mapping *m)
{
    m->has_meanings = m->envelope != ENVELOPE_NONE || m->format->wants_schema ||
                      m->key_format->wants_schema;
    if (!m->has_meanings) {
        return;
    }
    number_meanings(m);
    for (int connector = 0; connector < CONNECTORS; connector++) {
        m->logicals[connector] = mem_array(MAX(m->meaning_count, 1), sizeof **m->logicals);
        for (size_t i = 0; i < m->meaning_count; i++) {
            const struct meant v = mapping_meant(m, i);
            set_meaning(m, &v, (enum connector) connector, &m->logicals[connector][i]);
        }
    }
    for (size_t i = 0; i < m->fill_count; i++) {
        describe_units(m, i);
    }
    m->fingerprint = fingerprint_of(m);
}

void mapping_meaning_done(struct mapping *m)
{
    for (int connector = 0; connector < CONNECTORS; connector++) {
        for (size_t i = 0; m->logicals[connector] != NULL && i < m->meaning_count; i++) {
            logical_done(&m->logicals[connector][i]);
        }
        free(m->logicals[connector]);
    }
    for (size_t i = 0; i < m->placeholder_count; i++) {
        placeholder_free(m->placeholders[i]);
    }
}
