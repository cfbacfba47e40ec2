/* See outcome.h. Worker thread. */
#include "row/batch/outcome.h"

#include "base/mem.h"
#include "row/table/tuple.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void outcome_clear(struct outcome *o)
{
    o->count = 0;
}

void outcome_done(struct outcome *o)
{
    for (size_t i = 0; i < o->cap; i++) {
        buf_done(&o->steps[i].own);
    }
    free(o->steps);
    buf_done(&o->scratch);
    *o = (struct outcome){0};
}

/* ---- what a row has ---- */

bool outcome_has(const struct outcome_step *s, size_t column)
{
    const struct target *t = s->target;
    int bit = t->columns[column].omit_bit;

    if (!target_holds(t, column, s->action, s->omit) || bit < 0 || s->omit != OMIT_MIXED) {
        return target_holds(t, column, s->action, s->omit);
    }
    const char *there = s->tuple.p + s->tuple.n - target_there_bytes(t);
    return ((uint8_t) there[bit / 8] >> bit % 8 & 1) != 0;
}

/* ---- versions ---- */

/* The fields of the version by their rank, without their lengths; none is NULL. Returns how many.
 */
static size_t versions_of(const struct target *t, const struct outcome_step *s, struct str *out)
{
    const char *at = tuple_fields(s->tuple);
    size_t n = 0;

    for (size_t i = 0; i < t->column_count; i++) {
        if (!target_holds(t, i, s->action, s->omit)) {
            continue;
        }
        struct str field = tuple_next(&at);
        if (t->columns[i].is_version) {
            out[t->columns[i].version_rank] = tuple_data(field);
            n++;
        }
    }
    return n;
}

static int compare_texts(struct str a, struct str b)
{
    int order = a.n > 0 && b.n > 0 ? memcmp(a.p, b.p, MIN(a.n, b.n)) : 0;

    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

/* Signed and big-endian. */
static int64_t integer_of(struct str data)
{
    assert(data.n > 0);
    uint64_t v = (data.p[0] & 0x80) != 0 ? UINT64_MAX : 0;

    for (size_t k = 0; k < data.n; k++) {
        v = v << 8 | (uint8_t) data.p[k];
    }
    return (int64_t) v;
}

/* Whatever is no text is sent as an integer. */
static int compare_fields(enum column_type type, struct str a, struct str b)
{
    if (column_type_is_text(type)) {
        return compare_texts(a, b);
    }
    int64_t va = integer_of(a);
    int64_t vb = integer_of(b);
    return (va > vb) - (va < vb);
}

static enum column_type type_of_rank(const struct target *t, size_t rank)
{
    for (size_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].is_version && t->columns[i].version_rank == rank) {
            return t->columns[i].column->type;
        }
    }
    assert(false && "a version without a column of that rank");
    return TYPE_OTHER;
}

/* Of b to a: the first column that differs decides. 0 where the target has none. */
static int compare_versions(const struct target *t, const struct outcome_step *a,
                            const struct outcome_step *b)
{
    struct str of_a[TARGET_VERSION_MAX];
    struct str of_b[TARGET_VERSION_MAX];
    int order = 0;

    if (!t->has_version) {
        return 0;
    }
    size_t n = versions_of(t, a, of_a);
    (void) versions_of(t, b, of_b);
    for (size_t rank = 0; rank < n && order == 0; rank++) {
        order = compare_fields(type_of_rank(t, rank), of_b[rank], of_a[rank]);
    }
    return order;
}

/* ---- two rows ---- */

enum relation {
    BOTH,     /* no one row is the same */
    FIRST,    /* the second changes nothing */
    THEN,     /* nothing of the first is left */
    TOGETHER, /* the first, with what the second sets */
};

/* Does the row set this column where a row is there? An upsert gives a column that it omits its
 * DEFAULT, unless it is to leave it. */
static bool sets(const struct target *t, size_t column, const struct outcome_step *s)
{
    return outcome_has(s, column) || (s->action == ROW_UPSERT && !t->omit_leaves);
}

/* Does b set all that a sets? */
static bool covers(const struct target *t, const struct outcome_step *b,
                   const struct outcome_step *a)
{
    for (size_t i = 0; i < t->column_count; i++) {
        if (sets(t, i, a) && !sets(t, i, b)) {
            return false;
        }
    }
    return true;
}

static enum relation before_delete(const struct outcome_step *a, int newer)
{
    if (newer >= 0) {
        return THEN;
    }
    return a->action == ROW_IGNORE ? BOTH : FIRST;
}

static enum relation before_upsert(const struct target *t, const struct outcome_step *a,
                                   const struct outcome_step *b, int newer)
{
    if (newer < 0) {
        return a->action == ROW_UPSERT ? FIRST : BOTH;
    }
    if (a->action != ROW_DELETE && covers(t, b, a)) {
        return THEN;
    }
    return a->action == ROW_UPSERT && newer == 0 ? TOGETHER : BOTH;
}

static enum relation before_change(const struct target *t, const struct outcome_step *a,
                                   const struct outcome_step *b, int newer)
{
    switch (a->action) {
    case ROW_DELETE:
        return t->has_version && newer >= 0 ? BOTH : FIRST;
    case ROW_UPSERT:
        if (newer < 0) {
            return FIRST;
        }
        return newer == 0 || covers(t, b, a) ? TOGETHER : BOTH;
    case ROW_UPDATE:
    case ROW_SOFT_DELETE:
        if (newer < 0) {
            return FIRST;
        }
        if (covers(t, b, a)) {
            return THEN;
        }
        return newer == 0 ? TOGETHER : BOTH;
    case ROW_INSERT:
    case ROW_IGNORE:
    case ROW_TRUNCATE:
        break;
    }
    return BOTH;
}

static enum relation relate(const struct target *t, const struct outcome_step *a,
                            const struct outcome_step *b)
{
    if (a->target != b->target) {
        return BOTH;
    }
    if (a->action == ROW_INSERT) {
        return BOTH; /* which may be refused */
    }
    int newer = compare_versions(t, a, b);
    switch (b->action) {
    case ROW_INSERT:
        return BOTH;
    case ROW_IGNORE:
        return a->action == ROW_IGNORE || a->action == ROW_UPSERT ? FIRST : BOTH;
    case ROW_UPSERT:
        if (t->has_fixed && a->action == ROW_UPSERT && newer >= 0) {
            return BOTH; /* the first may insert what the second does not update */
        }
        return before_upsert(t, a, b, newer);
    case ROW_UPDATE:
    case ROW_SOFT_DELETE:
        return before_change(t, a, b, newer);
    case ROW_DELETE:
        return before_delete(a, newer);
    case ROW_TRUNCATE:
        break; /* fold.c takes them out */
    }
    return BOTH;
}

/* ---- together ---- */

/* The end of a mixed row: what a or b has. */
static void add_there(struct buf *out, const struct target *t, const struct outcome_step *a,
                      const struct outcome_step *b)
{
    size_t bytes = target_there_bytes(t);

    buf_add_u32(out, (uint32_t) bytes);
    size_t begin = out->n;
    buf_fill(out, 0, bytes);
    for (size_t i = 0; i < t->column_count; i++) {
        int bit = t->columns[i].omit_bit;
        if (bit >= 0 && (outcome_has(a, i) || outcome_has(b, i))) {
            out->p[begin + (size_t) bit / 8] |= (uint8_t) (1U << bit % 8);
        }
    }
}

/* The field of that column, and in `at` the next; of a step that does not have it, `or`. */
static struct str take_field(const struct outcome_step *s, size_t column, const char **at,
                             struct str or)
{
    if (!target_holds(s->target, column, s->action, s->omit)) {
        return or ;
    }
    struct str field = tuple_next(at);
    return outcome_has(s, column) || or.p == NULL ? field : or ;
}

/* What is held by the row with this action and mask, of b where both a and b have it. */
static void merge(struct buf *out, const struct target *t, const struct outcome_step *a,
                  const struct outcome_step *b, enum row_action action, omit_mask omit)
{
    const char *at_a = tuple_fields(a->tuple);
    const char *at_b = tuple_fields(b->tuple);

    buf_clear(out);
    buf_add_u16(out, (uint16_t) target_width(t, action, omit));
    for (size_t i = 0; i < t->column_count; i++) {
        struct str field = take_field(a, i, &at_a, (struct str){0});
        field = take_field(b, i, &at_b, field);
        if (!target_holds(t, i, action, omit)) {
            continue;
        }
        if (field.p != NULL) {
            buf_add(out, field.p, field.n);
        } else {
            assert(omit == OMIT_MIXED);
            buf_add_u32(out, TUPLE_NULL);
        }
    }
    if (omit == OMIT_MIXED) {
        add_there(out, t, a, b);
    }
}

/* What two rows omit that go together: what both omit, and a mark changes nothing of it. */
static omit_mask omit_of(const struct outcome_step *a, const struct outcome_step *b)
{
    if (b->action == ROW_SOFT_DELETE) {
        return a->omit;
    }
    return a->omit == OMIT_MIXED || b->omit == OMIT_MIXED ? OMIT_MIXED : a->omit & b->omit;
}

/* b becomes a changed by b. A mark holds none of the columns that can be omitted; it is never the
 * first of two that go together, for whatever changes a row sets its mark too. */
static void put_together(struct outcome *o, const struct target *t, const struct outcome_step *a,
                         struct outcome_step *b)
{
    omit_mask omit = omit_of(a, b);

    assert(a->action != ROW_SOFT_DELETE);
    merge(&o->scratch, t, a, b, a->action, omit);
    struct buf own = o->scratch;
    o->scratch = b->own;
    b->own = own;
    b->action = a->action;
    b->omit = omit;
    b->tuple = buf_str(&b->own);
}

/* ---- all rows ---- */

static struct outcome_step *make_room(struct outcome *o)
{
    size_t cap = o->cap;

    o->steps = mem_grow(o->steps, &o->cap, o->count, sizeof *o->steps);
    if (o->cap > cap) {
        memset(o->steps + cap, 0, (o->cap - cap) * sizeof *o->steps);
    }
    return &o->steps[o->count];
}

/* With all they own. */
static void swap_steps(struct outcome_step *a, struct outcome_step *b)
{
    struct outcome_step first = *a;

    *a = *b;
    *b = first;
}

void outcome_add(struct outcome *o, const struct target *t, enum row_action action, omit_mask omit,
                 struct str tuple)
{
    struct outcome_step *b = make_room(o);

    b->target = t;
    b->action = action;
    b->omit = omit;
    b->tuple = tuple;
    for (; o->count > 0; o->count--, b--) {
        enum relation relation = relate(t, b - 1, b);
        if (relation == FIRST) {
            return;
        }
        if (relation == BOTH) {
            break;
        }
        if (relation == TOGETHER) {
            put_together(o, t, b - 1, b);
        }
        swap_steps(b - 1, b);
    }
    o->count++;
}
