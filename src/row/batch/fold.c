/* See fold.h. Worker thread. */
#include "row/batch/fold.h"

#include "base/mem.h"
#include "row/table/tuple.h"

#include <stdlib.h>
#include <string.h>

/* A row of a table with a key. */
struct fold_entry {
    uint64_t prefix; /* of the key, for most comparisons */
    size_t key;      /* where it starts in f->keys, */
    uint32_t key_n;  /*   and how long it is */
    uint32_t seq;
    const struct batch_part *part;
    struct str tuple;
};

/* ---- keys ---- */

/* numeric_send: int16 digits, weight, sign, scale, then the digits. Trailing zeros and the scale do
 * not count; what has no digits is zero, or, by its sign, NaN or infinite. */
static void add_numeric(struct buf *out, struct str data)
{
    size_t n = data.n;

    while (n > 8 && data.p[n - 1] == 0 && data.p[n - 2] == 0) {
        n -= 2;
    }
    if (n == 8 && ((uint8_t) data.p[4] & 0xC0) != 0xC0) {
        buf_add_u32(out, 0);
        return;
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
    if (data.n == 0) {
        return; /* NULL, or an empty text */
    }
    switch (column_type_equality(type)) {
    case EQUAL_NUMERIC:
        add_numeric(out, data);
        return;
    case EQUAL_FLOAT:
        add_float(out, data);
        return;
    case EQUAL_PADDED:
        while (data.n > 0 && data.p[data.n - 1] == ' ') {
            data.n--;
        }
        break;
    case EQUAL_BYTES:
    case EQUAL_ROUNDED:
    case EQUAL_BUILT_IN:
    case EQUAL_BY_SQL: /* then keys are not compared here */
        break;
    }
    buf_add(out, data.p, data.n);
}

/* A key of several columns needs the length of each, or ("a","bc") would be ("ab","c"). */
static void add_key(struct buf *out, const struct batch_part *p, struct str tuple)
{
    const struct target *t = p->target;
    const char *at = tuple_fields(tuple);

    for (size_t i = 0; i < t->column_count; i++) {
        if (!target_holds(t, i, p->action, p->omit)) {
            continue;
        }
        struct str field = tuple_next(&at);
        if (!t->columns[i].is_key) {
            continue;
        }
        size_t length_at = out->n;
        if (t->key_count > 1) {
            buf_add_u32(out, 0);
        }
        size_t begin = out->n;
        add_key_data(out, t->columns[i].column->type, tuple_data(field));
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

/* The rows from that one on. */
static void add_entries(struct fold *f, const struct batch_part *p, uint32_t first_seq)
{
    for (size_t row = 0; row < p->row_count; row++) {
        if (p->rows[row].seq < first_seq) {
            continue;
        }
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

/* ---- groups ---- */

static struct fold_group *group_add(struct fold *f, const struct fold_group *like)
{
    size_t cap = f->group_cap;

    f->groups = mem_grow(f->groups, &f->group_cap, f->group_count, sizeof *f->groups);
    if (f->group_cap > cap) {
        memset(f->groups + cap, 0, (f->group_cap - cap) * sizeof *f->groups);
    }
    struct fold_group *g = &f->groups[f->group_count++];
    struct buf own = g->own;
    buf_clear(&own);
    *g = *like;
    g->own = own;
    return g;
}

/* Is a to be sent by the same statement as b? */
static bool is_like(const struct fold_group *a, const struct fold_group *b)
{
    return a->target == b->target && a->action == b->action && a->omit == b->omit &&
           a->round == b->round && a->part == b->part;
}

static void add_tuple(struct fold *f, const struct fold_group *like, struct str tuple)
{
    struct fold_group *g = NULL;

    for (size_t i = f->group_count; i-- > f->first_group && g == NULL;) {
        g = is_like(&f->groups[i], like) ? &f->groups[i] : NULL;
    }
    if (g == NULL) {
        g = group_add(f, like);
    }
    buf_add(&g->own, tuple.p, tuple.n);
    g->row_count++;
}

/* An update of nothing but the key changes nothing. */
static bool changes_something(const struct outcome_step *s)
{
    const struct target *t = s->target;

    for (size_t i = 0; i < t->column_count; i++) {
        if (!t->columns[i].is_key && outcome_has(s, i)) {
            return true;
        }
    }
    return s->action != ROW_UPDATE;
}

/* Does a row that follows another belong to a later round? A delete and what is put in its place
 * need only one. */
static bool begins_round(enum row_action before, enum row_action now)
{
    return now == ROW_DELETE || before != ROW_DELETE;
}

static void fold_key(struct fold *f, const struct fold_entry *e, size_t n)
{
    struct outcome *o = &f->outcome;
    uint32_t round = f->round;

    outcome_clear(o);
    for (size_t i = 0; i < n; i++) {
        outcome_add(o, e[i].part->target, e[i].part->action, e[i].part->omit, e[i].tuple);
    }
    for (size_t i = 0; i < o->count; i++) {
        const struct outcome_step *s = &o->steps[i];
        round += i > 0 && begins_round(o->steps[i - 1].action, s->action) ? 1 : 0;
        if (changes_something(s)) {
            const struct fold_group like = {
                .target = s->target,
                .action = s->action,
                .omit = s->omit,
                .round = round,
                .part = FOLD_NO_PART,
            };
            add_tuple(f, &like, s->tuple);
        }
    }
    f->last_round = MAX(f->last_round, round);
}

/* Of entries whose keys can be compared. */
static void fold_keys(struct fold *f, struct fold_entry *entries, size_t count)
{
    qsort_r(entries, count, sizeof *entries, compare_entries, f);
    for (size_t i = 0, n; i < count; i += n) {
        for (n = 1; i + n < count; n++) {
            if (compare_keys(f, &entries[i], &entries[i + n]) != 0) {
                break;
            }
        }
        fold_key(f, &entries[i], n);
    }
}

/* ---- runs ---- */

/* The next key column from `at` on, which then is after it; NULL: there is no other. */
static const struct column *next_key(const struct target *t, size_t *at)
{
    while (*at < t->column_count && !t->columns[*at].is_key) {
        ++*at;
    }
    return *at < t->column_count ? t->columns[(*at)++].column : NULL;
}

/* Routes into the same table may have different keys. */
static bool is_same_key(const struct target *a, const struct target *b)
{
    size_t at_a = 0;
    size_t at_b = 0;

    if (a == b) {
        return true;
    }
    for (;;) {
        const struct column *x = next_key(a, &at_a);
        const struct column *y = next_key(b, &at_b);
        if (x == NULL || y == NULL) {
            return x == y;
        }
        if (strcmp(x->name, y->name) != 0) {
            return false;
        }
    }
}

static int compare_seqs(const void *x, const void *y)
{
    const struct fold_entry *a = x;
    const struct fold_entry *b = y;

    return (a->seq > b->seq) - (a->seq < b->seq);
}

/* How many entries from the first one on can be folded together, or, where only SQL can compare
 * their keys, are of one part. */
static size_t run_length(const struct fold_entry *e, size_t left)
{
    const struct target *t = e->part->target;
    size_t n = 1;

    while (n < left && (t->keys_by_sql ? e[n].part == e->part
                                       : !e[n].part->target->keys_by_sql &&
                                             is_same_key(e[n].part->target, t))) {
        n++;
    }
    return n;
}

/* Only SQL can say which of these rows have the same key. */
static void add_run(struct fold *f, const struct fold_entry *e, size_t n)
{
    const struct fold_group like = {
        .target = e->part->target,
        .action = e->part->action,
        .omit = e->part->omit,
        .round = f->round,
        .part = FOLD_NO_PART,
    };

    for (size_t i = 0; i < n; i++) {
        add_tuple(f, &like, e[i].tuple);
    }
}

/* Where rows of different runs may have the same key, runs follow each other as they came. */
static void fold_runs(struct fold *f)
{
    const struct batch_part *before = NULL; /* of the former run, where it is of one part */

    if (f->entry_count > 0) {
        qsort(f->entries, f->entry_count, sizeof *f->entries, compare_seqs);
    }
    for (size_t i = 0, n; i < f->entry_count; i += n) {
        struct fold_entry *e = &f->entries[i];
        bool by_sql = e->part->target->keys_by_sql;
        n = run_length(e, f->entry_count - i);
        if (i > 0 && (!by_sql || before == NULL || begins_round(before->action, e->part->action))) {
            f->round = f->last_round + 1;
        }
        f->last_round = f->round;
        if (by_sql) {
            add_run(f, e, n);
            before = e->part;
        } else {
            fold_keys(f, e, n);
            before = NULL;
        }
    }
}

/* Routes may fill the same table, each through a target of its own. */
static bool is_same_table(const struct target *a, const struct target *b)
{
    return a->key_count > 0 && b->key_count > 0 && a->table->oid == b->table->oid;
}

/* The last truncate of the table becomes a group. Returns the seq of the first row that counts. */
static uint32_t take_truncate(struct fold *f, const struct batch *b, const struct target *t)
{
    const struct batch_part *last = NULL;
    uint32_t seq = 0;

    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        if (p->action != ROW_TRUNCATE || p->row_count == 0 || !is_same_table(p->target, t)) {
            continue;
        }
        if (last == NULL || p->rows[p->row_count - 1].seq > seq) {
            last = p;
            seq = p->rows[p->row_count - 1].seq;
        }
    }
    if (last != NULL) {
        const struct fold_group like = {
            .target = last->target, .action = ROW_TRUNCATE, .part = FOLD_NO_PART};
        add_tuple(f, &like, batch_tuple(last, last->row_count - 1));
    }
    return seq;
}

static void fold_table(struct fold *f, const struct batch *b, const struct target *t)
{
    uint32_t first_seq = take_truncate(f, b, t);
    bool in_runs = false;

    f->first_group = f->group_count;
    f->round = 0;
    f->last_round = 0;
    f->entry_count = 0;
    buf_clear(&f->keys);
    buf_add_u8(&f->keys, 0); /* so that an empty key has a place too */
    for (size_t i = 0; i < b->part_count; i++) {
        const struct target *other = b->parts[i].target;
        if (is_same_table(other, t) && b->parts[i].action != ROW_TRUNCATE) {
            add_entries(f, &b->parts[i], first_seq);
            in_runs = in_runs || other->keys_by_sql || !is_same_key(other, t);
        }
    }
    if (in_runs) {
        fold_runs(f);
    } else if (f->entry_count > 0) {
        fold_keys(f, f->entries, f->entry_count);
    }
}

static bool is_first_of_table(const struct batch *b, size_t part)
{
    for (size_t i = 0; i < part; i++) {
        if (is_same_table(b->parts[i].target, b->parts[part].target)) {
            return false;
        }
    }
    return true;
}

/* ---- order ---- */

static bool takes_away(const struct fold_group *g)
{
    return g->action == ROW_DELETE || g->action == ROW_TRUNCATE;
}

static int compare_groups(const void *x, const void *y)
{
    const struct fold_group *a = x;
    const struct fold_group *b = y;

    if (a->round != b->round) {
        return a->round < b->round ? -1 : 1;
    }
    bool del_a = takes_away(a);
    bool del_b = takes_away(b);
    if (del_a != del_b) {
        return del_a ? -1 : 1;
    }
    int by_target = (a->target->id > b->target->id) - (a->target->id < b->target->id);
    if (by_target != 0) {
        return del_a ? -by_target : by_target;
    }
    if (a->action != b->action && (a->action == ROW_TRUNCATE || b->action == ROW_TRUNCATE)) {
        return a->action == ROW_TRUNCATE ? -1 : 1;
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
            if (is_first_of_table(b, i)) {
                fold_table(f, b, p->target);
            }
        } else if (p->row_count > 0) {
            const struct fold_group whole = {
                .target = p->target,
                .action = p->action,
                .omit = p->omit,
                .part = i,
                .row_count = p->row_count,
            };
            (void) group_add(f, &whole);
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
    outcome_done(&f->outcome);
    *f = (struct fold){0};
}
