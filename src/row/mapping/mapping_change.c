/*
 * What a mapping of change events has beside columns: the parts of the envelope, the row as it was
 * before the change. Main thread, once per route.
 */
#include "base/mem.h"
#include "row/mapping/mapping_state.h"

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
    m->row = m->change.after;
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
                m->needed |= UINT64_C(1) << bits;
            }
            f->omit_bit = bits++;
        }
    }
    m->target.omit_count = (size_t) bits;
}

/* ---- the row as it was ---- */

/* Do connectors write such columns in ways of their own? */
static bool depends_on_connector(const struct column *c)
{
    return column_type_is_time(c->type) || c->type == TYPE_ARRAY;
}

/* Deletes want the key of the row as it was; a history wants all of it. */
void mapping_change_before(struct mapping *m)
{
    for (size_t i = 0; i < m->fill_count && m->change.connector == 0; i++) {
        if (depends_on_connector(m->fills[i].column)) {
            uint32_t source = fields_add(&m->value, 0, STR_LIT("source"));
            m->change.connector = fields_add(&m->value, source, STR_LIT("connector"));
        }
    }
    for (size_t i = 0; i < m->fill_count; i++) {
        struct fill *f = &m->fills[i];
        if (!f->of_event) {
            continue;
        }
        struct str name = str_of(f->column->name);
        if (f->is_key || f->is_version || m->action == ROW_INSERT) {
            f->before = fields_add_row(&m->value, m->change.before, name);
        }
        if (f->is_key && m->key_format->has_fields) {
            f->in_key = fields_add_row(&m->key, 0, name);
        }
    }
}
