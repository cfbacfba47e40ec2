/* See trial.h. One thread. */
#include "row/record/trial.h"

#include "base/mem.h"
#include "row/mapping/mapping_state.h"

#include <stdlib.h>
#include <string.h>

void trial_init(struct trial *t, const struct record_route *route)
{
    *t = (struct trial){
        .route = route,
        .decoder = decoder_new(),
        .guesser = guesser_new(),
        .batch = batch_new(),
    };
}

void trial_done(struct trial *t)
{
    for (size_t i = 0; i < t->table_count; i++) {
        survey_done(&t->tables[i].survey);
    }
    free(t->tables);
    decoder_free(t->decoder);
    guesser_free(t->guesser);
    batch_free(t->batch);
    *t = (struct trial){0};
}

/* ---- tables ---- */

const struct mapping *trial_mapping(const struct trial *t, const struct target *target)
{
    if (t->route->chooser == NULL) {
        return t->route->mapping;
    }
    size_t i = 0;
    while (mapping_target(chooser_table(t->route->chooser, i)) != target) {
        i++;
    }
    return chooser_table(t->route->chooser, i);
}

static struct trial_table *table_of(struct trial *t, const struct target *target)
{
    for (size_t i = 0; i < t->table_count; i++) {
        if (t->tables[i].target == target) {
            return &t->tables[i];
        }
    }
    t->tables = mem_grow(t->tables, &t->table_cap, t->table_count, sizeof *t->tables);
    struct trial_table *table = &t->tables[t->table_count++];
    *table = (struct trial_table){.target = target};
    survey_init(&table->survey, trial_mapping(t, target));
    return table;
}

/* The mapping that makes the rows of a record; NULL: no table is known. */
static const struct mapping *find_mapping(struct trial *t, const struct message *msg)
{
    const struct record_route *r = t->route;
    struct error err;

    if (r->chooser == NULL) {
        return r->mapping;
    }
    return decoder_read(t->decoder, r->mapping, msg, &err)
               ? chooser_find(r->chooser, decoder_cells(t->decoder), &err)
               : NULL;
}

/* ---- what becomes of a record ---- */

static bool is_same_reason(const struct error *a, const struct error *b)
{
    if (strcmp(a->sqlstate, b->sqlstate) != 0 || strcmp(a->column, b->column) != 0) {
        return false;
    }
    return a->sqlstate[0] != '\0' || a->column[0] != '\0' || strcmp(a->text, b->text) == 0;
}

static void reject(struct trial *t, const struct message *msg, const struct error *err)
{
    t->rejected++;
    for (size_t i = 0; i < t->reason_count; i++) {
        if (is_same_reason(&t->reasons[i].why, err)) {
            t->reasons[i].count++;
            return;
        }
    }
    if (t->reason_count < TRIAL_REASONS) {
        t->reasons[t->reason_count++] = (struct trial_reason){
            .why = *err,
            .partition = msg->partition,
            .offset = msg->offset,
            .count = 1,
        };
    }
}

static enum trial_nothing nothing_of(const struct trial *t)
{
    const struct mapping *m = t->route->mapping;

    if (mapping_is_change(m) && decoder_is_tombstone(t->decoder, m)) {
        return NOTHING_TOMBSTONE;
    }
    if (decoder_change(t->decoder) == CHANGE_NONE) {
        return NOTHING_EVENT;
    }
    if (!decoder_took(t->decoder)) {
        return m->when_per_element ? NOTHING_ELEMENTS : NOTHING_WHEN;
    }
    return m->explodes ? NOTHING_ELEMENTS : NOTHING_IGNORED;
}

static size_t count_rows(struct trial *t)
{
    size_t rows = 0;

    for (size_t i = 0; i < t->batch->part_count; i++) {
        const struct batch_part *p = &t->batch->parts[i];
        if (p->row_count > 0) {
            table_of(t, p->target)->rows[p->action] += p->row_count;
            rows += p->row_count;
        }
    }
    return rows;
}

static bool decode(struct trial *t, const struct message *msg, struct error *err)
{
    struct batch *b = t->batch;

    batch_clear(b);
    uint32_t span = batch_span(b, t, msg->topic.p, msg->partition, 0, msg->offset);
    batch_record_begin(b, span, msg->offset, msg->timestamp_ms, msg->leader_epoch);
    return record_rows(t->decoder, t->route, msg, b, err);
}

bool trial_lacks(struct trial *t, const struct message *msg)
{
    struct error err;
    bool ok = decode(t, msg, &err);

    batch_record_end(t->batch);
    return !ok && err.class == ERROR_AGAIN;
}

static void make_rows(struct trial *t, const struct message *msg)
{
    struct error err;

    if (!decode(t, msg, &err)) {
        reject(t, msg, &err);
    } else if (count_rows(t) == 0) {
        t->nothing[nothing_of(t)]++;
    }
    batch_record_end(t->batch);
}

static void survey(struct trial *t, const struct message *msg)
{
    const struct mapping *m = find_mapping(t, msg);

    if (m != NULL) {
        survey_add(&table_of(t, mapping_target(m))->survey, t->decoder, msg);
    }
}

/* ---- what it looks like ---- */

/* A chooser's tables may take the key although its own mapping does not. */
static bool wants_key(const struct record_route *r, bool whole)
{
    const struct mapping *m = r->mapping;
    bool wants = survey_wants_key(m, whole);

    for (size_t i = 0; r->chooser != NULL && (m = chooser_table(r->chooser, i)) != NULL; i++) {
        wants |= survey_wants_key(m, whole);
    }
    return wants;
}

static void guess(struct trial *t, const struct message *msg)
{
    const struct mapping *m = t->route->mapping;
    enum guess key = m->key_format->wants_schema ? GUESS_NONE : guess_key(t->guesser, msg);

    t->values[m->format->wants_schema ? GUESS_NONE : guess_value(t->guesser, msg)]++;
    t->keys[wants_key(t->route, key == GUESS_KEY_QUOTED) ? key : GUESS_NONE]++;
}

void trial_add(struct trial *t, const struct message *msg)
{
    t->records++;
    make_rows(t, msg);
    if (decoder_took(t->decoder)) {
        survey(t, msg);
    }
    guess(t, msg);
}
