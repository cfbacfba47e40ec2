/*
 * Which columns a row may leave out, each with a bit of its own, and whether rows that leave out
 * different ones may be mixed (row/table/table.h). Main thread, once per route.
 */
#include "row/mapping/mapping_state.h"

/* An update leaves alone what the record lacks; other rows need a DEFAULT for that. */
static bool may_be_left_out(const struct mapping *m, const struct fill *f)
{
    bool needed = f->is_key || f->is_version || f->is_mark;

    return !needed && f->may_lack &&
           (m->target.omit_leaves || f->column->has_default || f->column->identity);
}

/* A column whose DEFAULT the statement of mixed rows cannot compute; or NULL. */
static const struct column *odd_default(const struct mapping *m)
{
    for (size_t i = 0; i < m->fill_count; i++) {
        const struct fill *f = &m->fills[i];
        if (may_be_left_out(m, f) && f->column->default_sql == NULL) {
            return f->column;
        }
    }
    return NULL;
}

static bool refuse(const struct mapping *m, struct error *err)
{
    return error_set(err, ERROR_SETUP, "table %s: more than %d columns %s are filled",
                     m->table->quoted, TARGET_OMIT_MAX,
                     m->target.omit_leaves ? "that a record may lack" : "with a DEFAULT");
}

/* An update of mixed rows names all columns, and sets those that a row omits to what they are. */
static bool check_updates(const struct mapping *m, struct error *err)
{
    if (m->table->may_set_all && !m->target.keys_by_sql) {
        return true;
    }
    refuse(m, err);
    return error_hint(err,
                      "Mode update can leave alone more of them if the role may SELECT and "
                      "UPDATE all columns, no trigger is for UPDATE OF some columns, and equal "
                      "values of the key have equal bytes.");
}

/*
 * May rows be mixed? If not, err says why there must not be more columns than bits. Mixed rows are
 * inserted from a temporary table, also where others are copied straight into theirs.
 */
static bool check_mixing(const struct mapping *m, struct error *err)
{
    const struct column *odd = m->target.omit_leaves ? NULL : odd_default(m);

    if (m->table->has_rules) {
        refuse(m, err);
        return error_hint(err, "Replace the rules of the table with triggers (DROP RULE).");
    }
    if (!m->table->may_stage) {
        refuse(m, err);
        return error_hint(err, "GRANT TEMPORARY ON DATABASE ... TO the role that pgsinkd connects "
                               "as;");
    }
    if (odd != NULL) {
        refuse(m, err);
        return error_hint(err,
                          "GRANT USAGE ON the sequence of column '%s' TO the role, or drop "
                          "the DEFAULT of columns that every record fills.",
                          odd->name);
    }
    return m->action != ROW_UPDATE || check_updates(m, err);
}

static void number_all(struct mapping *m)
{
    for (size_t i = 0; i < m->fill_count; i++) {
        if (may_be_left_out(m, &m->fills[i])) {
            m->fills[i].omit_bit = (int) m->target.omit_count++;
        }
    }
}

/* Where an upsert that leaves columns alone meets a row, SQL cannot ask which ones it omits: its
 * rows are never mixed. */
bool mapping_set_omits(struct mapping *m, const struct mapping_spec *spec, struct error *err)
{
    struct target *t = &m->target;
    struct error why;

    (void) spec;
    bool leaves_some = m->action == ROW_UPSERT && t->omit_leaves;

    t->mixes = !leaves_some && check_mixing(m, &why);
    if ((leaves_some || (mapping_is_change(m) && t->omit_leaves)) && !t->mixes) {
        mapping_change_omits(m);
        return true;
    }
    number_all(m);
    if (t->omit_count > TARGET_OMIT_MAX && !t->mixes) {
        *err = why;
        return false;
    }
    return true;
}
