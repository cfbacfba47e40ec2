/* See fold.h. Worker thread. */
#include "row/fold.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A row of a target with a key. */
struct fold_entry {
    uint64_t prefix; /* of the key, for most comparisons */
    size_t key;      /* where it starts in f->keys, */
    uint32_t key_n;  /*   and how long it is */
    uint32_t seq;
    const struct batch_part *part;
    struct str tuple;
};

/* ---- fields of a tuple ---- */

#define NULL_FIELD UINT32_MAX

static uint32_t read_u32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

/* The field at *at with its length in front; moves behind it. */
static struct str next_field(const char **at)
{
    uint32_t n = read_u32(*at);
    struct str field = {.p = *at, .n = sizeof n + (n == NULL_FIELD ? 0 : n)};
    *at += field.n;
    return field;
}

static const char *first_field(struct str tuple)
{
    return tuple.p + sizeof(uint16_t);
}

/* ---- keys ---- */

/* numeric_send: int16 digits, weight, sign, scale, then the digits. Trailing zeros and the scale do
 * not count. */
static void add_numeric(struct buf *out, struct str data)
{
    size_t n = data.n;
    while (n > 8 && data.p[n - 1] == 0 && data.p[n - 2] == 0) {
        n -= 2;
    }
    buf_add(out, data.p + 2, 4);
    buf_add(out, data.p + 8, n - 8);
}

static void add_float(struct buf *out, struct str data)
{
    bool is_zero = (data.p[0] & 0x7f) == 0;
    for (size_t i = 1; i < data.n; i++) {
        is_zero = is_zero && data.p[i] == 0;
    }
    buf_add_u8(out, is_zero ? 0 : (uint8_t) data.p[0]);
    buf_add(out, data.p + 1, data.n - 1);
}

static void add_key_data(struct buf *out, enum column_type type, struct str data)
{
    if (type == TYPE_NUMERIC && data.n >= 8) {
        add_numeric(out, data);
    } else if ((type == TYPE_FLOAT4 || type == TYPE_FLOAT8) && data.n > 0) {
        add_float(out, data);
    } else {
        while (type == TYPE_BPCHAR && data.n > 0 && data.p[data.n - 1] == ' ') {
            data.n--;
        }
        buf_add(out, data.p, data.n);
    }
}

/* A key of several columns needs the length of each, or ("a","bc") would be ("ab","c"). */
static void add_key(struct buf *out, const struct batch_part *p, struct str tuple)
{
    const struct target *t = p->target;
    const char *at = first_field(tuple);
    for (size_t i = 0; i < t->column_count; i++) {
        if (!target_holds(t, i, p->action, p->omit)) {
            continue;
        }
        struct str field = next_field(&at);
        if (!t->columns[i].is_key) {
            continue;
        }
        size_t length_at = out->n;
        if (t->key_count > 1) {
            buf_add_u32(out, 0);
        }
        size_t begin = out->n;
        add_key_data(
            out, t->columns[i].column->type,
            (struct str){.p = field.p + sizeof(uint32_t), .n = field.n - sizeof(uint32_t)});
        if (t->key_count > 1) {
            buf_put_u32(out->p + length_at, (uint32_t) (out->n - begin));
        }
    }
}

static uint64_t prefix_of(const uint8_t *key, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, key, MIN(n, sizeof v));
    return __builtin_bswap64(v);
}

static void add_entries(struct fold *f, const struct batch_part *p)
{
    for (size_t row = 0; row < p->row_count; row++) {
        struct str tuple = batch_tuple(p, row);
        size_t key = f->keys.n;
        add_key(&f->keys, p, tuple);
        f->entries = mem_grow(f->entries, &f->entry_cap, f->entry_count, sizeof *f->entries);
        f->entries[f->entry_count++] = (struct fold_entry){
            .prefix = prefix_of(f->keys.p + key, f->keys.n - key),
            .key = key,
            .key_n = (uint32_t) (f->keys.n - key),
            .seq = p->rows[row].seq,
            .part = p,
            .tuple = tuple,
        };
    }
}

static int compare_keys(const struct fold *f, const struct fold_entry *a,
                        const struct fold_entry *b)
{
    if (a->prefix != b->prefix) {
        return a->prefix < b->prefix ? -1 : 1;
    }
    int order = memcmp(f->keys.p + a->key, f->keys.p + b->key, MIN(a->key_n, b->key_n));
    return order != 0 ? order : (a->key_n > b->key_n) - (a->key_n < b->key_n);
}

static int compare_entries(const void *x, const void *y, void *arg)
{
    const struct fold_entry *a = x;
    const struct fold_entry *b = y;
    int order = compare_keys(arg, a, b);
    return order != 0 ? order : (a->seq > b->seq) - (a->seq < b->seq);
}

/* ---- what the rows of one key come to ---- */

/* A row so far: columns as its action and omit mask say. */
struct row {
    enum row_action action;
    uint64_t omit;
    struct str tuple; /* p NULL: there is none */
};

struct outcome {
    struct str deletes; /* the tuple of a delete; p NULL: none */
    struct row row;     /* what is stored, after that */
};

/* The version's bytes: signed, big-endian, as all types of versions are sent. */
static int64_t version_of(const struct target *t, const struct row *row)
{
    const char *at = first_field(row->tuple);
    for (size_t i = 0; i < t->column_count; i++) {
        if (!target_holds(t, i, row->action, row->omit)) {
            continue;
        }
        struct str field = next_field(&at);
        if (t->columns[i].is_version) {
            uint64_t v = (field.p[4] & 0x80) != 0 ? UINT64_MAX : 0;
            for (size_t k = 4; k < field.n; k++) {
                v = v << 8 | (uint8_t) field.p[k];
            }
            return (int64_t) v;
        }
    }
    return INT64_MIN;
}

static bool is_older(const struct target *t, const struct row *row, const struct outcome *so_far)
{
    struct row deleted = {.action = ROW_DELETE, .tuple = so_far->deletes};
    const struct row *last = so_far->row.tuple.p ? &so_far->row : &deleted;
    return t->has_version && last->tuple.p && version_of(t, row) < version_of(t, last);
}

/* What both rows hold, of the second where they hold the same; in the columns of a row with this
 * action and mask. */
static struct str merge(struct fold *f, const struct target *t, const struct row *a,
                        const struct row *b, enum row_action action, uint64_t omit)
{
    const char *at_a = first_field(a->tuple);
    const char *at_b = first_field(b->tuple);
    struct buf *out = &f->scratch;
    buf_clear(out);
    buf_add_u16(out, (uint16_t) target_width(t, action, omit));
    for (size_t i = 0; i < t->column_count; i++) {
        struct str field = {0};
        if (target_holds(t, i, a->action, a->omit)) {
            field = next_field(&at_a);
        }
        if (target_holds(t, i, b->action, b->omit)) {
            field = next_field(&at_b);
        }
        if (target_holds(t, i, action, omit)) {
            assert(field.p);
            buf_add(out, field.p, field.n);
        }
    }
    return (struct str){.p = (const char *) out->p, .n = out->n};
}

/* b changes some columns of a. The tuple lies in f->merged until the next key. */
static void change(struct fold *f, const struct target *t, struct row *a, const struct row *b)
{
    enum row_action action = a->action == ROW_SOFT_DELETE ? b->action : a->action;
    uint64_t omit_a = a->action == ROW_SOFT_DELETE ? UINT64_MAX : a->omit;
    uint64_t omit_b = b->action == ROW_SOFT_DELETE ? UINT64_MAX : b->omit;
    uint64_t omit = action == ROW_SOFT_DELETE ? 0 : omit_a & omit_b;
    struct str tuple = merge(f, t, a, b, action, omit);
    size_t begin = f->merged.n;
    buf_add(&f->merged, tuple.p, tuple.n);
    /* f->merged may have moved, but only the tuple added last is of use: the one it came from is
     * replaced here. */
    *a = (struct row){action, omit, {.p = (const char *) f->merged.p + begin, .n = tuple.n}};
}

static void apply(struct fold *f, const struct target *t, const struct row *row,
                  struct outcome *so_far)
{
    struct row *last = &so_far->row;
    bool is_gone = so_far->deletes.p && !last->tuple.p;
    if (is_older(t, row, so_far)) {
        return;
    }
    switch (row->action) {
    case ROW_DELETE:
        so_far->deletes = row->tuple;
        *last = (struct row){0};
        return;
    case ROW_INSERT:
    case ROW_UPSERT:
        if (t->omit_leaves && row->omit != 0 && last->tuple.p && last->action == ROW_UPSERT) {
            change(f, t, last, row);
        } else {
            *last = *row;
        }
        return;
    case ROW_IGNORE:
        if (!last->tuple.p) {
            *last = *row;
        }
        return;
    case ROW_UPDATE:
    case ROW_SOFT_DELETE:
        if (is_gone) {
            return;
        }
        if (last->tuple.p) {
            change(f, t, last, row);
        } else {
            *last = *row;
        }
        return;
    }
}

/* ---- groups ---- */

static struct fold_group *group_add(struct fold *f, const struct target *t, enum row_action action,
                                    uint64_t omit)
{
    size_t cap = f->group_cap;
    f->groups = mem_grow(f->groups, &f->group_cap, f->group_count, sizeof *f->groups);
    if (f->group_cap > cap) {
        memset(f->groups + cap, 0, (f->group_cap - cap) * sizeof *f->groups);
    }
    struct fold_group *g = &f->groups[f->group_count++];
    buf_clear(&g->own);
    g->target = t;
    g->action = action;
    g->omit = omit;
    g->part = FOLD_NO_PART;
    g->row_count = 0;
    return g;
}

static void add_tuple(struct fold *f, const struct target *t, enum row_action action, uint64_t omit,
                      struct str tuple)
{
    struct fold_group *g = NULL;
    for (size_t i = f->group_count; i-- > 0 && !g;) {
        struct fold_group *at = &f->groups[i];
        bool same = at->target == t && at->action == action && at->omit == omit;
        g = same && at->part == FOLD_NO_PART ? at : NULL;
    }
    if (!g) {
        g = group_add(f, t, action, omit);
    }
    buf_add(&g->own, tuple.p, tuple.n);
    g->row_count++;
}

/* An update of nothing but the key changes nothing. */
static bool changes_something(const struct target *t, const struct row *row)
{
    for (size_t i = 0; i < t->column_count; i++) {
        const struct target_column *c = &t->columns[i];
        if (!c->is_key && target_holds(t, i, row->action, row->omit)) {
            return true;
        }
    }
    return row->action != ROW_UPDATE;
}

static void fold_key(struct fold *f, const struct target *t, const struct fold_entry *e, size_t n)
{
    struct outcome outcome = {0};
    buf_clear(&f->merged);
    for (size_t i = 0; i < n; i++) {
        struct row row = {e[i].part->action, e[i].part->omit, e[i].tuple};
        apply(f, t, &row, &outcome);
    }
    if (outcome.deletes.p) {
        add_tuple(f, t, ROW_DELETE, 0, outcome.deletes);
    }
    if (outcome.row.tuple.p && changes_something(t, &outcome.row)) {
        add_tuple(f, t, outcome.row.action, outcome.row.omit, outcome.row.tuple);
    }
}

static void fold_target(struct fold *f, const struct batch *b, const struct target *t)
{
    f->entry_count = 0;
    buf_clear(&f->keys);
    buf_add_u8(&f->keys, 0); /* so that an empty key has a place too */
    for (size_t i = 0; i < b->part_count; i++) {
        if (b->parts[i].target == t) {
            add_entries(f, &b->parts[i]);
        }
    }
    if (f->entry_count > 1) {
        qsort_r(f->entries, f->entry_count, sizeof *f->entries, compare_entries, f);
    }
    for (size_t i = 0, n; i < f->entry_count; i += n) {
        for (n = 1; i + n < f->entry_count; n++) {
            if (compare_keys(f, &f->entries[i], &f->entries[i + n]) != 0) {
                break;
            }
        }
        fold_key(f, t, &f->entries[i], n);
    }
}

static bool is_first_of_target(const struct batch *b, size_t part)
{
    for (size_t i = 0; i < part; i++) {
        if (b->parts[i].target == b->parts[part].target) {
            return false;
        }
    }
    return true;
}

/* ---- order ---- */

static int compare_groups(const void *x, const void *y)
{
    const struct fold_group *a = x;
    const struct fold_group *b = y;
    bool del_a = a->action == ROW_DELETE;
    bool del_b = b->action == ROW_DELETE;
    if (del_a != del_b) {
        return del_a ? -1 : 1;
    }
    int by_target = (a->target->id > b->target->id) - (a->target->id < b->target->id);
    if (by_target != 0) {
        return del_a ? -by_target : by_target;
    }
    if (a->action != b->action) {
        return a->action < b->action ? -1 : 1;
    }
    return (a->omit > b->omit) - (a->omit < b->omit);
}

void fold_batch(struct fold *f, const struct batch *b)
{
    f->group_count = 0;
    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        if (p->target->key_count > 0) {
            if (is_first_of_target(b, i)) {
                fold_target(f, b, p->target);
            }
        } else if (p->row_count > 0) {
            struct fold_group *g = group_add(f, p->target, p->action, p->omit);
            g->part = i;
            g->row_count = p->row_count;
        }
    }
    if (f->group_count > 1) {
        qsort(f->groups, f->group_count, sizeof *f->groups, compare_groups);
    }
    for (size_t i = 0; i < f->group_count; i++) {
        struct fold_group *g = &f->groups[i];
        const struct buf *from = g->part == FOLD_NO_PART ? &g->own : &b->parts[g->part].bytes;
        g->bytes = (struct str){.p = (const char *) from->p, .n = from->n};
    }
}

void fold_done(struct fold *f)
{
    for (size_t i = 0; i < f->group_cap; i++) {
        buf_done(&f->groups[i].own);
    }
    free(f->groups);
    free(f->entries);
    buf_done(&f->keys);
    buf_done(&f->merged);
    buf_done(&f->scratch);
    *f = (struct fold){0};
}
