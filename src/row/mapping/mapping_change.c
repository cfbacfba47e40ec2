/*
 * What a mapping of change events has beside columns: the parts of the envelope, the row as it was
 * before the change, and what its values are where the JSON does not say it. Main thread, once per
 * route.
 */
#include "base/mem.h"
#include "row/mapping/mapping_state.h"
#include "row/schema/logical.h"

#include <assert.h>
#include <stdlib.h>

void mapping_change_begin(struct mapping *m)
{
    assert(m->format->has_fields); /* config refuses it */
    m->change = (struct change_cells){
        .before = fields_add(&m->value, 0, STR_LIT("before")),
        .after = fields_add(&m->value, 0, STR_LIT("after")),
        .op = fields_add(&m->value, 0, STR_LIT("op")),
    };
    m->wrapper = (struct wrapper_cells){
        .schema = fields_add(&m->value, 0, STR_LIT("schema")),
        .payload = fields_add(&m->value, 0, STR_LIT("payload")),
    };
    m->row = m->change.after;
    m->reads_value = true;
}

/* Errors name the column of the source: whether it is looked for in `before`, `after` or the key
 * depends on the event. */
void mapping_change_of_event(struct fill *f)
{
    f->of_event = true;
    free(f->field_text);
    f->field_text = mem_strdup(f->column->name);
}

bool mapping_change_holds(const struct mapping *m, uint32_t node)
{
    return fields_below(&m->value, node, m->change.before) ||
           fields_below(&m->value, node, m->change.after);
}

/* ---- what an update may leave out ---- */

/* Who gets a bit first, when there are more columns than bits: 0 is the most urgent. */
static int urgency(const struct column *c)
{
    return c->has_default || c->identity ? 0 : column_type_is_toastable(c->type) ? 1 : 2;
}

void mapping_change_omits(struct mapping *m)
{
    int bits = 0;

    for (int rank = 0; rank <= 2; rank++) {
        for (size_t i = 0; i < m->fill_count; i++) {
            struct fill *f = &m->fills[i];
            bool wanted = urgency(f->column) == rank && f->may_lack;
            if (f->is_key || f->is_version || f->is_mark || !wanted || bits == TARGET_OMIT_MAX) {
                continue;
            }
            if (rank > 0 && f->column->not_null && m->action == ROW_UPSERT) {
                m->needed |= OMIT_BIT(bits);
            }
            f->omit_bit = bits++;
        }
    }
    m->target.omit_count = (size_t) bits;
}

/* ---- the row as it was ---- */

/* Deletes want the key of the row as it was; a history wants all of it. */
void mapping_change_before(struct mapping *m)
{
    for (size_t i = 0; i < m->fill_count; i++) {
        struct fill *f = &m->fills[i];
        if (!f->of_event) {
            continue;
        }
        struct str name = str_of(f->column->name);
        if (f->is_key || f->is_version || m->action == ROW_INSERT) {
            f->before = fields_add(&m->value, m->change.before, name);
        }
        if (f->is_key) {
            f->in_key = fields_add(&m->key, 0, name);
        }
    }
}

/* ---- what the values are ---- */

/* Of a choice it is not known which of its places gives the value. */
static bool is_of_row(const struct mapping *m, const struct fill *f)
{
    bool value = f->place.origin == ORIGIN_VALUE && mapping_change_holds(m, f->place.number);

    return value || f->place.origin == ORIGIN_KEY;
}

static uint64_t mapping_fingerprint(const struct mapping *m)
{
    _cleanup_buf_ struct buf text = {0};

    for (size_t i = 0; i < m->fill_count; i++) {
        const struct fill *f = &m->fills[i];
        buf_printf(&text, "%s %s %s %d\n", f->column->name, f->column->type_name, f->source_text,
                   (int) f->unit);
    }
    return str_hash(buf_str(&text));
}

void mapping_change_end(struct mapping *m)
{
    m->logicals = mem_array(m->fill_count, sizeof *m->logicals);
    for (size_t i = 0; i < m->fill_count; i++) {
        const struct fill *f = &m->fills[i];
        bool declared = f->unit != UNIT_NONE && !f->of_event;
        if (declared || !is_of_row(m, f)) {
            m->logicals[i] = (struct logical){.kind = LOGICAL_PLAIN, .unit = f->unit};
        } else {
            logical_of_column(f->column, m->precision, &m->logicals[i]);
        }
    }
    m->fingerprint = mapping_fingerprint(m);
}

void mapping_change_done(struct mapping *m)
{
    for (size_t i = 0; m->logicals != NULL && i < m->fill_count; i++) {
        logical_done(&m->logicals[i]);
    }
    free(m->logicals);
}
