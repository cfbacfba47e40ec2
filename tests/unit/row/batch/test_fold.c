/*
 * fold.c and outcome.c: a batch as it is sent stores what its rows would, one after the other.
 *
 * The random test applies both to a table in memory, by the rules of the SQL that pg/rows_sql.c
 * makes: first all rows in their order, then, to the same table as it was before, the groups. Keys
 * come in many spellings of the same value, and rows of all actions in any order, also in such as
 * no mode makes.
 */
#include "row/batch/fold.h"

#include "row/table/tuple.h"

#include "row/kit.h"

enum { KEYS = 4, TARGETS = 4, NONE = -1000 /* NULL */ };

/* ---- targets ---- */

/* Columns: the key (one or two), then the version (one or two), the mark, then a, and b and c which
 * may be omitted. Of a version that is split, a text is compared before the number. */
enum { COLUMN_A = 4, COLUMN_B, COLUMN_C, COLUMN_VERSION_TEXT, COLUMNS };
enum { COLUMN_KEY, COLUMN_KEY2, COLUMN_VERSION, COLUMN_MARK };

static const int defaults[COLUMNS] = {[COLUMN_B] = 77, [COLUMN_C] = 88};

static char names[COLUMNS][2] = {"k", "l", "v", "m", "a", "b", "c", "w"};

struct fixture {
    struct target target;
    struct table table;
    struct column columns[COLUMNS];
    struct target_column filled[COLUMNS];
    int column_of[COLUMNS]; /* of the fields: which of the above it is */
    size_t version_bytes;
};

static void add_column(struct fixture *x, int column, enum column_type type, int omit_bit)
{
    size_t i = x->target.column_count++;

    x->columns[i] = (struct column){.name = names[column], .type = type};
    x->column_of[i] = column;
    x->filled[i] = (struct target_column){
        .column = &x->columns[i],
        .omit_bit = omit_bit,
        .is_key = column == COLUMN_KEY || column == COLUMN_KEY2,
        .is_version = column == COLUMN_VERSION || column == COLUMN_VERSION_TEXT,
        .is_mark = column == COLUMN_MARK,
    };
    x->target.key_count += x->filled[i].is_key ? 1 : 0;
}

struct kind {
    enum column_type key;
    bool composite;
    bool has_version;
    bool omit_leaves;
    bool splits_version;
};

static void make_fixture(struct fixture *x, uint32_t id, const struct kind *kind)
{
    *x = (struct fixture){.version_bytes = id % 2 == 0 ? 8 : 2};
    x->target.id = id;
    x->table.oid = id + 1;
    x->target.table = &x->table;
    x->target.columns = x->filled;
    x->target.has_version = kind->has_version;
    x->target.omit_leaves = kind->omit_leaves;
    x->target.omit_count = 2;
    x->target.mixes = true;
    add_column(x, COLUMN_B, TYPE_INT4, 0);
    add_column(x, COLUMN_KEY, kind->key, -1);
    if (kind->composite) {
        add_column(x, COLUMN_KEY2, TYPE_TEXT, -1);
    }
    if (kind->has_version) {
        add_column(x, COLUMN_VERSION, x->version_bytes == 8 ? TYPE_INT8 : TYPE_INT2, -1);
    }
    if (kind->splits_version) {
        x->filled[x->target.column_count - 1].version_rank = 1;
        add_column(x, COLUMN_VERSION_TEXT, TYPE_TEXT, -1);
    }
    add_column(x, COLUMN_MARK, TYPE_BOOL, -1);
    add_column(x, COLUMN_A, TYPE_INT4, -1);
    add_column(x, COLUMN_C, TYPE_INT4, 1);
}

/* ---- rows ---- */

/* A row as tests speak of it. */
struct row {
    enum row_action action;
    omit_mask omit;
    bool is_mixed; /* then it says itself what it omits */
    int values[COLUMNS];
};

static uint64_t seed;

static uint32_t chance(uint32_t n)
{
    return (uint32_t) (kit_random(&seed) >> 33) % n;
}

static void add_field(struct buf *out, const void *p, size_t n)
{
    buf_add_u32(out, (uint32_t) n);
    buf_add(out, p, n);
}

static void add_integer(struct buf *out, int value, size_t bytes)
{
    uint64_t v = __builtin_bswap64((uint64_t) (int64_t) value);

    add_field(out, (const char *) &v + sizeof v - bytes, bytes);
}

/* The number n, with a scale, and digits and a weight that say nothing. */
static void add_numeric_key(struct buf *out, int n)
{
    uint16_t zeros = (uint16_t) chance(3);
    uint16_t digits = (uint16_t) (zeros + (n != 0 ? 1 : 0));

    buf_add_u32(out, 8 + 2 * (uint32_t) digits);
    buf_add_u16(out, digits);
    buf_add_u16(out, n != 0 ? 0 : (uint16_t) chance(3));
    buf_add_u16(out, n == 3 ? 0x4000 : 0); /* 3 is -3 */
    buf_add_u16(out, (uint16_t) (zeros * 2));
    if (n != 0) {
        buf_add_u16(out, (uint16_t) n);
    }
    buf_fill(out, 0, zeros * (size_t) 2);
}

static void add_float_key(struct buf *out, int n)
{
    double v = n == 0 && chance(2) == 0 ? -0.0 : n;
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    bits = __builtin_bswap64(bits);
    add_field(out, &bits, sizeof bits);
}

static const char *const texts[KEYS] = {"", "a", "ab", "b"};

static void add_text_key(struct buf *out, int n, bool padded)
{
    static const char spaces[] = "   ";
    size_t more = padded ? chance(3) : 0;

    buf_add_u32(out, (uint32_t) (strlen(texts[n]) + more));
    buf_add_z(out, texts[n]);
    buf_add(out, spaces, more);
}

static void add_key(struct buf *out, enum column_type type, int n)
{
    if (type == TYPE_NUMERIC) {
        add_numeric_key(out, n);
    } else if (type == TYPE_FLOAT8) {
        add_float_key(out, n);
    } else if (type == TYPE_TEXT || type == TYPE_BPCHAR) {
        add_text_key(out, n, type == TYPE_BPCHAR);
    } else {
        add_integer(out, n - 1, 4);
    }
}

/* VERSIONS_FROM and what follows, as a text of two versions, and which of them it is. */
enum { VERSIONS_FROM = -3 };

static bool splits_version(const struct fixture *x)
{
    for (size_t i = 0; i < x->target.column_count; i++) {
        if (x->column_of[i] == COLUMN_VERSION_TEXT) {
            return true;
        }
    }
    return false;
}

static void add_version(struct buf *out, const struct fixture *x, int version)
{
    bool is_split = splits_version(x);

    add_integer(out, is_split ? (version - VERSIONS_FROM) % 2 : version, x->version_bytes);
    if (is_split) {
        add_text_key(out, (version - VERSIONS_FROM) / 2, false);
    }
}

static void add_value(struct buf *out, const struct fixture *x, size_t i, int value)
{
    int column = x->column_of[i];

    if (column == COLUMN_VERSION_TEXT) {
        return; /* add_version has added it */
    }
    if (value == NONE) {
        buf_add_u32(out, UINT32_MAX);
    } else if (column == COLUMN_KEY || column == COLUMN_KEY2) {
        add_key(out, x->columns[i].type, value);
    } else if (column == COLUMN_MARK) {
        add_integer(out, value, 1);
    } else if (column == COLUMN_VERSION) {
        add_version(out, x, value);
    } else {
        add_integer(out, value, 4);
    }
}

static void add_row(struct batch *b, const struct fixture *x, const struct row *row)
{
    const struct target *t = &x->target;
    omit_mask omit = row->is_mixed ? OMIT_MIXED : row->omit;
    uint8_t there = (uint8_t) (~row->omit & 3);
    uint32_t part = batch_part(b, t, row->action, omit);
    struct buf *out = batch_row_begin(b, part);

    buf_add_u16(out, (uint16_t) target_width(t, row->action, omit));
    for (size_t i = 0; i < t->column_count; i++) {
        if (target_holds(t, i, row->action, row->omit)) {
            add_value(out, x, i, row->values[x->column_of[i]]);
        } else if (target_holds(t, i, row->action, omit)) {
            add_value(out, x, i, NONE);
        }
    }
    if (row->is_mixed) {
        add_field(out, &there, sizeof there);
    }
    batch_row_end(b, part);
}

/* ---- and back, without fold.c's own ideas of equal keys ---- */

static int number_of(struct str s)
{
    uint64_t v = s.n > 0 && (s.p[0] & 0x80) != 0 ? UINT64_MAX : 0;

    for (size_t i = 0; i < s.n; i++) {
        v = v << 8 | (uint8_t) s.p[i];
    }
    return (int) (int64_t) v;
}

static int numeric_of(struct str s)
{
    int value = 0; /* the first digit; the others are zeros */

    if (s.p[0] != 0 || s.p[1] != 0) {
        value = s.n > 8 ? number_of((struct str){.p = s.p + 8, .n = 2}) : 0;
    }
    return value;
}

static int float_of(struct str s)
{
    uint64_t bits;
    double v;

    memcpy(&bits, s.p, sizeof bits);
    bits = __builtin_bswap64(bits);
    memcpy(&v, &bits, sizeof v);
    return (int) v;
}

static int text_of(struct str s)
{
    while (s.n > 0 && s.p[s.n - 1] == ' ') {
        s.n--;
    }
    for (int n = 0; n < KEYS; n++) {
        if (str_eq(s, str_of(texts[n]))) {
            return n;
        }
    }
    fail();
    return 0;
}

static int value_of(const struct fixture *x, size_t i, struct str field)
{
    struct str data = tuple_data(field);
    int column = x->column_of[i];

    if (memcmp(field.p, "\xff\xff\xff\xff", 4) == 0) {
        return NONE;
    }
    if (column != COLUMN_KEY && column != COLUMN_KEY2 && column != COLUMN_VERSION_TEXT) {
        return number_of(data);
    }
    switch ((int) x->columns[i].type) {
    case TYPE_NUMERIC:
        return numeric_of(data);
    case TYPE_FLOAT8:
        return float_of(data);
    case TYPE_TEXT:
    case TYPE_BPCHAR:
        return text_of(data);
    default:
        return number_of(data) + 1;
    }
}

/* Moves behind the tuple. */
static struct row read_row(const struct fixture *x, enum row_action action, omit_mask omit,
                           const char **at)
{
    const struct target *t = &x->target;
    struct row row = {.action = action, .omit = omit};

    assert_int_equal(number_of((struct str){.p = *at, .n = 2}), target_width(t, action, omit));
    *at += 2;
    for (size_t i = 0; i < t->column_count; i++) {
        if (target_holds(t, i, action, omit)) {
            row.values[x->column_of[i]] = value_of(x, i, tuple_next(at));
        }
    }
    if (omit == OMIT_MIXED) {
        row.is_mixed = true;
        row.omit = (uint64_t) ~number_of(tuple_data(tuple_next(at))) & 3;
    }
    if (splits_version(x)) {
        row.values[COLUMN_VERSION] += 2 * row.values[COLUMN_VERSION_TEXT] + VERSIONS_FROM;
        row.values[COLUMN_VERSION_TEXT] = 0;
    }
    return row;
}

/* ---- the table in memory ---- */

struct stored {
    bool is_there;
    int values[COLUMNS];
    int unfilled; /* a column that no route fills: what an INSERT alone sets to 0 */
};

struct content {
    struct stored rows[TARGETS][KEYS * KEYS];
    bool refused;
};

static struct stored *row_at(struct content *c, const struct fixture *x, const struct row *row)
{
    return &c->rows[x->table.oid - 1][row->values[COLUMN_KEY] * KEYS + row->values[COLUMN_KEY2]];
}

static void set(struct stored *s, const struct fixture *x, const struct row *row)
{
    for (size_t i = 0; i < x->target.column_count; i++) {
        int column = x->column_of[i];
        if (target_holds(&x->target, i, row->action, row->omit)) {
            s->values[column] = row->values[column];
        } else if (!s->is_there || (row->action == ROW_UPSERT && !x->target.omit_leaves)) {
            s->values[column] = defaults[column];
        }
    }
}

static void insert(struct stored *s, const struct fixture *x, const struct row *row)
{
    *s = (struct stored){0};
    set(s, x, row);
    s->is_there = true;
}

static bool is_newer(const struct stored *s, const struct fixture *x, const struct row *row)
{
    int before = s->values[COLUMN_VERSION];

    return x->target.has_version && before != NONE && before > row->values[COLUMN_VERSION];
}

/* As the SQL of rows_sql.c does. */
static void apply(struct content *c, const struct fixture *x, const struct row *row)
{
    struct stored *s = row_at(c, x, row);

    switch (row->action) {
    case ROW_INSERT:
        c->refused |= s->is_there;
        insert(s, x, row);
        return;
    case ROW_IGNORE:
        if (!s->is_there) {
            insert(s, x, row);
        }
        return;
    case ROW_UPSERT:
        if (!s->is_there) {
            insert(s, x, row);
        } else if (!is_newer(s, x, row)) {
            set(s, x, row);
        }
        return;
    case ROW_UPDATE:
    case ROW_SOFT_DELETE:
        if (s->is_there && !is_newer(s, x, row)) {
            set(s, x, row);
        }
        return;
    case ROW_DELETE:
        if (s->is_there && !is_newer(s, x, row)) {
            *s = (struct stored){0};
        }
        return;
    case ROW_TRUNCATE:
        memset(c->rows[x->table.oid - 1], 0, sizeof c->rows[0]);
        return;
    }
}

static void apply_batch(struct content *c, const struct fixture *fixtures, const struct batch *b)
{
    struct batch_walk walk;
    size_t part;
    size_t i;

    batch_walk_begin(&walk, b);
    while (batch_walk_next(&walk, &part, &i)) {
        const struct batch_part *p = &b->parts[part];
        const struct fixture *x = &fixtures[p->target->id];
        const char *at = batch_tuple(p, i).p;
        struct row row = read_row(x, p->action, p->omit, &at);
        apply(c, x, &row);
    }
    batch_walk_done(&walk);
}

/* One statement, which must not meet a row twice. */
static void apply_group(struct content *c, const struct fixture *x, const struct fold_group *g)
{
    bool met[KEYS * KEYS] = {false};
    const char *at = g->bytes.p;

    for (size_t i = 0; i < g->row_count; i++) {
        struct row row = read_row(x, g->action, g->omit, &at);
        size_t key = (size_t) row.values[COLUMN_KEY] * KEYS + (size_t) row.values[COLUMN_KEY2];
        assert_false(met[key]);
        met[key] = true;
        apply(c, x, &row);
    }
    assert_ptr_equal(at, g->bytes.p + g->bytes.n);
}

static bool takes_away(enum row_action action)
{
    return action == ROW_DELETE || action == ROW_TRUNCATE;
}

static void check_order(const struct fold *f)
{
    for (size_t i = 1; i < f->group_count; i++) {
        const struct fold_group *a = &f->groups[i - 1];
        const struct fold_group *b = &f->groups[i];
        bool deletes = takes_away(b->action);
        assert_true(a->round <= b->round);
        assert_false(b->action == ROW_TRUNCATE && a->target == b->target);
        if (a->round == b->round && !takes_away(a->action)) {
            assert_false(deletes);
            assert_true(a->target->id <= b->target->id);
        } else if (a->round == b->round && deletes) {
            assert_true(a->target->id >= b->target->id);
        }
    }
}

/* ---- at random ---- */

static const struct kind kinds[] = {
    {.key = TYPE_INT4},
    {.key = TYPE_INT4, .has_version = true},
    {.key = TYPE_INT4, .omit_leaves = true},
    {.key = TYPE_INT4, .has_version = true, .omit_leaves = true},
    {.key = TYPE_INT4, .has_version = true, .splits_version = true},
    {.key = TYPE_INT4, .has_version = true, .omit_leaves = true, .splits_version = true},
    {.key = TYPE_TEXT, .composite = true},
    {.key = TYPE_BPCHAR, .composite = true, .has_version = true, .omit_leaves = true},
    {.key = TYPE_NUMERIC, .has_version = true, .omit_leaves = true},
    {.key = TYPE_NUMERIC, .composite = true},
    {.key = TYPE_FLOAT8, .has_version = true},
    {.key = TYPE_FLOAT8, .composite = true, .omit_leaves = true},
    {.key = TYPE_BPCHAR},
};

static int random_version(void)
{
    return (int) chance(7) + VERSIONS_FROM;
}

static void random_content(struct content *c)
{
    *c = (struct content){0};
    for (size_t i = 0; i < TARGETS * KEYS * KEYS; i++) {
        struct stored *s = &c->rows[i / (KEYS * KEYS)][i % (KEYS * KEYS)];
        s->is_there = chance(2) == 0;
        for (int k = COLUMN_VERSION; s->is_there && k < COLUMNS; k++) {
            s->values[k] = 100 + k;
        }
        if (s->is_there) {
            s->values[COLUMN_VERSION] = chance(5) == 0 ? NONE : random_version();
            s->unfilled = 5;
        }
    }
}

/* What an INSERT before a truncate has refused is of no interest: only one of the two comes. */
static enum row_action random_action(bool truncates)
{
    static const enum row_action actions[] = {
        ROW_UPSERT, ROW_UPSERT, ROW_UPSERT, ROW_UPDATE, ROW_DELETE, ROW_SOFT_DELETE, ROW_IGNORE,
    };

    if (chance(truncates ? 15 : 200) == 0) {
        return truncates ? ROW_TRUNCATE : ROW_INSERT;
    }
    return actions[chance(ARRAY_LEN(actions))];
}

static struct row random_row(const struct fixture *x, enum row_action action)
{
    struct row row = {.action = action};
    bool may_omit = action != ROW_DELETE && action != ROW_SOFT_DELETE && action != ROW_TRUNCATE;

    row.omit = may_omit ? chance(4) : 0;
    row.is_mixed = may_omit && chance(3) == 0;
    row.values[COLUMN_KEY] = (int) chance(KEYS);
    row.values[COLUMN_KEY2] = x->target.key_count > 1 ? (int) chance(KEYS) : 0;
    row.values[COLUMN_VERSION] = random_version();
    row.values[COLUMN_MARK] = action == ROW_SOFT_DELETE;
    for (int k = COLUMN_A; k < COLUMNS; k++) {
        row.values[k] = chance(5) == 0 ? NONE : (int) chance(1000);
    }
    return row;
}

static void fill_at_random(struct batch *b, const struct fixture *fixtures, size_t n)
{
    uint32_t records = 1 + chance(chance(4) == 0 ? 60 : 8);
    bool truncates = chance(3) == 0;
    uint32_t span = batch_span(b, b, "orders", 0, 1, 0);

    for (uint32_t i = 0; i < records; i++) {
        batch_record_begin(b, span, i, -1, -1);
        for (uint32_t rows = chance(3); rows > 0; rows--) {
            const struct fixture *x = &fixtures[chance((uint32_t) n)];
            struct row row = random_row(x, random_action(truncates));
            add_row(b, x, &row);
        }
        batch_record_end(b);
    }
}

static void compare(const struct content *got, const struct content *want, uint64_t at_seed)
{
    bool same = got->refused == want->refused;

    for (size_t i = 0; same && !want->refused && i < TARGETS * KEYS * KEYS; i++) {
        const struct stored *g = &got->rows[i / (KEYS * KEYS)][i % (KEYS * KEYS)];
        const struct stored *w = &want->rows[i / (KEYS * KEYS)][i % (KEYS * KEYS)];
        same = g->is_there == w->is_there && g->unfilled == w->unfilled &&
               memcmp(g->values, w->values, sizeof g->values) == 0;
    }
    if (!same) {
        print_error("seed %llu\n", (unsigned long long) at_seed);
    }
    assert_true(same);
}

static void test_groups_store_what_the_rows_would(void **state)
{
    (void) state;
    struct fold f = {0};
    struct fixture fixtures[TARGETS];
    for (uint64_t at = 1; at <= 30000; at++) {
        struct content want;
        size_t targets = 1 + at % TARGETS;
        seed = at;
        for (uint32_t i = 0; i < targets; i++) {
            make_fixture(&fixtures[i], i, &kinds[chance(ARRAY_LEN(kinds))]);
        }
        if (targets == TARGETS && chance(2) == 0) { /* the last one fills the table of the first */
            const struct kind *kind = &kinds[chance(ARRAY_LEN(kinds))];
            make_fixture(&fixtures[0], 0, kind);
            make_fixture(&fixtures[TARGETS - 1], TARGETS - 1, kind);
            fixtures[TARGETS - 1].target.omit_leaves = chance(2) == 0;
            fixtures[TARGETS - 1].table.oid = 1;
        }
        random_content(&want);
        struct content got = want;
        struct batch *b = batch_new();
        fill_at_random(b, fixtures, targets);
        apply_batch(&want, fixtures, b);
        fold_batch(&f, b);
        check_order(&f);
        for (size_t i = 0; i < f.group_count; i++) {
            apply_group(&got, &fixtures[f.groups[i].target->id], &f.groups[i]);
        }
        compare(&got, &want, at);
        batch_free(b);
    }
    fold_done(&f);
}

/* ---- each cell of the table in outcome.h ---- */

static const char letters[] = {
    [ROW_INSERT] = 'I', [ROW_IGNORE] = 'G', [ROW_UPSERT] = 'P',
    [ROW_UPDATE] = 'U', [ROW_DELETE] = 'D', [ROW_SOFT_DELETE] = 'M',
};

/* "P2.-1": an upsert with version 2, b = 1 and c omitted; of rows that have both, b is the place
 * in the list. */
static struct row row_of_text(const char *text, int place)
{
    struct row row = {.action = (enum row_action) 0};

    while (letters[row.action] != text[0]) {
        row.action++;
    }
    row.values[COLUMN_KEY] = 1;
    row.values[COLUMN_VERSION] = text[1] - '0';
    row.values[COLUMN_MARK] = row.action == ROW_SOFT_DELETE;
    for (int k = COLUMN_A; k < COLUMNS; k++) {
        row.values[k] = place;
    }
    row.omit = strchr(text, 'b') != NULL ? 2 : strchr(text, 'c') != NULL ? 1 : 0;
    return row;
}

static void add_value_text(struct buf *out, const struct fixture *x, const struct row *row,
                           int column, const char *name)
{
    for (size_t i = 0; i < x->target.column_count; i++) {
        if (x->column_of[i] == column && target_holds(&x->target, i, row->action, row->omit)) {
            buf_printf(out, "%s%d", name, row->values[column]);
        }
    }
}

/* All groups: "0:D v1; 0:P v2 m0 a2 b2 c2". */
static void describe(struct buf *out, const struct fixture *x, const struct fold *f)
{
    buf_clear(out);
    for (size_t i = 0; i < f->group_count; i++) {
        const struct fold_group *g = &f->groups[i];
        const char *at = g->bytes.p;
        struct row row = read_row(x, g->action, g->omit, &at);
        assert_int_equal(g->row_count, 1);
        buf_printf(out, "%s%u:%c", i > 0 ? "; " : "", g->round, letters[g->action]);
        add_value_text(out, x, &row, COLUMN_VERSION, " v");
        add_value_text(out, x, &row, COLUMN_MARK, " m");
        add_value_text(out, x, &row, COLUMN_A, " a");
        add_value_text(out, x, &row, COLUMN_B, " b");
        add_value_text(out, x, &row, COLUMN_C, " c");
    }
}

struct case_of {
    const char *rows[4]; /* action, version, and b or c: holds only that one of the two */
    const char *want;
};

static void check_case(const struct kind *kind, const struct case_of *k)
{
    struct fixture x;
    struct fold f = {0};
    _cleanup_buf_ struct buf text = {0};

    make_fixture(&x, 0, kind);
    struct batch *b = batch_new();
    batch_record_begin(b, batch_span(b, b, "orders", 0, 1, 0), 0, -1, -1);
    for (int i = 0; i < 4 && k->rows[i] != NULL; i++) {
        struct row row = row_of_text(k->rows[i], i + 1);
        add_row(b, &x, &row);
    }
    batch_record_end(b);
    fold_batch(&f, b);
    describe(&text, &x, &f);
    if (strcmp(buf_cstr(&text), k->want) != 0) {
        print_error("%s %s %s %s\n", k->rows[0], k->rows[1], k->rows[2] != NULL ? k->rows[2] : "",
                    k->rows[3] != NULL ? k->rows[3] : "");
    }
    kit_assert_text(buf_cstr(&text), k->want);
    fold_done(&f);
    batch_free(b);
}

static void test_without_a_version(void **state)
{
    (void) state;
    static const struct kind kind = {.key = TYPE_INT4};
    static const struct case_of cases[] = {
        {{"I0", "I0"}, "0:I m0 a1 b1 c1; 1:I m0 a2 b2 c2"},
        {{"I0", "D0"}, "0:I m0 a1 b1 c1; 1:D"},
        {{"I0", "P0"}, "0:I m0 a1 b1 c1; 1:P m0 a2 b2 c2"},
        {{"D0", "I0"}, "0:D; 0:I m0 a2 b2 c2"},

        {{"G0", "G0"}, "0:G m0 a1 b1 c1"},
        {{"P0", "G0"}, "0:P m0 a1 b1 c1"},
        {{"U0", "G0"}, "0:U m0 a1 b1 c1; 1:G m0 a2 b2 c2"},
        {{"M0", "G0"}, "0:M m1; 1:G m0 a2 b2 c2"},
        {{"D0", "G0"}, "0:D; 0:G m0 a2 b2 c2"},

        {{"G0", "P0b"}, "0:P m0 a2 b2"},
        {{"P0", "P0b"}, "0:P m0 a2 b2"},
        {{"U0", "P0c"}, "0:P m0 a2 c2"},
        {{"M0", "P0"}, "0:P m0 a2 b2 c2"},
        {{"D0", "P0"}, "0:D; 0:P m0 a2 b2 c2"},

        {{"G0", "U0"}, "0:G m0 a1 b1 c1; 1:U m0 a2 b2 c2"},
        {{"P0", "U0b"}, "0:P m0 a2 b2 c1"},
        {{"P0c", "U0b"}, "0:P m0 a2 b2 c1"},
        {{"U0c", "U0b"}, "0:U m0 a2 b2 c1"},
        {{"M0", "U0b"}, "0:U m0 a2 b2"},
        {{"D0", "U0"}, "0:D"},

        {{"G0", "M0"}, "0:G m0 a1 b1 c1; 1:M m1"},
        {{"P0", "M0"}, "0:P m1 a1 b1 c1"},
        {{"U0b", "M0"}, "0:U m1 a1 b1"},
        {{"M0", "M0"}, "0:M m1"},
        {{"D0", "M0"}, "0:D"},

        {{"G0", "D0"}, "0:D"},
        {{"P0", "D0"}, "0:D"},
        {{"U0", "D0"}, "0:D"},
        {{"M0", "D0"}, "0:D"},
        {{"D0", "D0"}, "0:D"},

        {{"P0", "D0", "P0", "D0"}, "0:D"},
        {{"P0", "D0", "P0b", "U0c"}, "0:D; 0:P m0 a4 b3 c4"},
        {{"G0", "M0", "D0", "G0"}, "0:D; 0:G m0 a4 b4 c4"},
        {{"G0", "M0", "G0", "M0"}, "0:G m0 a1 b1 c1; 1:M m1; 2:G m0 a3 b3 c3; 3:M m1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        check_case(&kind, &cases[i]);
    }
}

static void test_an_upsert_that_leaves_what_it_omits(void **state)
{
    (void) state;
    static const struct kind kind = {.key = TYPE_INT4, .omit_leaves = true};
    static const struct case_of cases[] = {
        {{"P0", "P0b"}, "0:P m0 a2 b2 c1"},   {{"P0b", "P0"}, "0:P m0 a2 b2 c2"},
        {{"P0b", "P0c"}, "0:P m0 a2 b1 c2"},  {{"U0b", "P0c"}, "0:U m0 a1 b1; 1:P m0 a2 c2"},
        {{"U0b", "P0b"}, "0:P m0 a2 b2"},     {{"G0", "P0b"}, "0:G m0 a1 b1 c1; 1:P m0 a2 b2"},
        {{"D0", "P0b"}, "0:D; 0:P m0 a2 b2"}, {{"P0b", "P0c", "M0"}, "0:P m1 a2 b1 c2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        check_case(&kind, &cases[i]);
    }
}

static void test_with_a_version(void **state)
{
    (void) state;
    static const struct kind kind = {.key = TYPE_INT4, .has_version = true};
    static const struct case_of cases[] = {
        {{"P1", "P2"}, "0:P v2 m0 a2 b2 c2"},
        {{"P2", "P1"}, "0:P v2 m0 a1 b1 c1"},
        {{"P2", "P2"}, "0:P v2 m0 a2 b2 c2"},
        {{"P3", "P1", "P2", "P4"}, "0:P v4 m0 a4 b4 c4"},
        {{"U2", "P1"}, "0:U v2 m0 a1 b1 c1; 1:P v1 m0 a2 b2 c2"},
        {{"D2", "P1"}, "0:D v2; 0:P v1 m0 a2 b2 c2"},

        {{"P1", "U2"}, "0:P v2 m0 a2 b2 c2"},
        {{"P1", "U2b"}, "0:P v1 m0 a1 b1 c1; 1:U v2 m0 a2 b2"},
        {{"P2", "U2b"}, "0:P v2 m0 a2 b2 c1"},
        {{"P2", "U1b"}, "0:P v2 m0 a1 b1 c1"},
        {{"U1b", "U2b"}, "0:U v2 m0 a2 b2"},
        {{"U1c", "U2b"}, "0:U v1 m0 a1 c1; 1:U v2 m0 a2 b2"},
        {{"U2c", "U1b"}, "0:U v2 m0 a1 c1"},
        {{"P1", "M2"}, "0:P v1 m0 a1 b1 c1; 1:M v2 m1"},
        {{"P1", "M2", "P3"}, "0:P v3 m0 a3 b3 c3"},
        {{"D1", "U2"}, "0:D v1; 0:U v2 m0 a2 b2 c2"},
        {{"D2", "U1"}, "0:D v2"},

        {{"P1", "D2"}, "0:D v2"},
        {{"P2", "D1"}, "0:P v2 m0 a1 b1 c1"},
        {{"G2", "D1"}, "0:G v2 m0 a1 b1 c1; 1:D v1"},
        {{"D2", "D1"}, "0:D v2"},
        {{"D1", "D2"}, "0:D v2"},
        {{"D3", "P1", "D2"}, "0:D v3"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        check_case(&kind, &cases[i]);
    }
}

/* ---- order ---- */

static void test_groups_come_in_the_order_of_targets(void **state)
{
    (void) state;
    static const struct kind kind = {.key = TYPE_INT4};
    struct fixture fixtures[TARGETS];
    struct fold f = {0};
    _cleanup_buf_ struct buf text = {0};
    struct batch *b = batch_new();
    batch_record_begin(b, batch_span(b, b, "orders", 0, 1, 0), 0, -1, -1);
    for (int i = TARGETS - 1; i >= 0; i--) {
        make_fixture(&fixtures[i], (uint32_t) i, &kind);
        fixtures[i].target.key_count = i == 1 ? 0 : 1;
        struct row rows[] = {row_of_text("P0", 1), row_of_text("D0", 2), row_of_text("G0", 3),
                             row_of_text("M0", 4)};
        for (size_t k = 0; k < (i == 1 ? 1 : ARRAY_LEN(rows)); k++) {
            add_row(b, &fixtures[i], &rows[k]);
        }
    }
    batch_record_end(b);
    fold_batch(&f, b);
    for (size_t i = 0; i < f.group_count; i++) {
        const struct fold_group *g = &f.groups[i];
        buf_printf(&text, "%u%c%u ", g->round, letters[g->action], g->target->id);
    }
    kit_assert_text(buf_cstr(&text), "0D3 0D2 0D0 0G0 0P1 0G2 0G3 1M0 1M2 1M3 ");
    fold_done(&f);
    batch_free(b);
}

/* So that two workers lock them in the same order. */
static void test_rows_come_in_the_order_of_keys(void **state)
{
    (void) state;
    static const struct kind kind = {.key = TYPE_INT8};
    struct fixture x;
    struct fold f = {0};
    struct batch *b = batch_new();
    make_fixture(&x, 0, &kind);
    batch_record_begin(b, batch_span(b, b, "orders", 0, 1, 0), 0, -1, -1);
    for (uint32_t i = 0; i < 5000; i++) {
        struct row row = {.action = ROW_UPSERT};
        row.values[COLUMN_KEY] = (int) (i * 7919 % 4999) + 1;
        add_row(b, &x, &row);
    }
    batch_record_end(b);
    fold_batch(&f, b);
    assert_int_equal(f.group_count, 1);
    assert_int_equal(f.groups[0].row_count, 4999);
    const char *at = f.groups[0].bytes.p;
    for (int i = 0; i < 4999; i++) {
        struct row row = read_row(&x, ROW_UPSERT, 0, &at);
        assert_int_equal(row.values[COLUMN_KEY], i + 1);
    }
    fold_done(&f);
    batch_free(b);
}

static void test_rows_without_a_key_are_sent_as_they_are(void **state)
{
    (void) state;
    static const struct kind kind = {.key = TYPE_INT4};
    struct fixture x;
    struct fold f = {0};
    struct batch *b = batch_new();
    make_fixture(&x, 0, &kind);
    x.target.key_count = 0;
    batch_record_begin(b, batch_span(b, b, "orders", 0, 1, 0), 0, -1, -1);
    for (int i = 0; i < 3; i++) {
        struct row row = row_of_text(i == 1 ? "I0b" : "I0", i);
        add_row(b, &x, &row);
    }
    batch_record_end(b);
    fold_batch(&f, b);
    assert_int_equal(f.group_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_ptr_equal(f.groups[i].bytes.p, b->parts[f.groups[i].part].bytes.p);
        assert_int_equal(f.groups[i].bytes.n, b->parts[f.groups[i].part].bytes.n);
        assert_int_equal(f.groups[i].row_count, 2 - i);
    }
    fold_done(&f);
    batch_free(b);
}

/* Keys that SQL alone can compare: rows stay in their order, each run of one kind is a group. */
static void test_keys_that_only_sql_can_compare(void **state)
{
    (void) state;
    static const struct kind kind = {.key = TYPE_TEXT};
    static const char *const rows[] = {"P0", "P1", "D0", "P0", "D1", "P1"};
    struct fixture x;
    struct fold f = {0};
    struct batch *b = batch_new();
    make_fixture(&x, 0, &kind);
    x.target.keys_by_sql = true;
    batch_record_begin(b, batch_span(b, b, "orders", 0, 1, 0), 0, -1, -1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct row row = row_of_text(rows[i], (int) i);
        add_row(b, &x, &row);
    }
    batch_record_end(b);
    fold_batch(&f, b);
    assert_int_equal(f.group_count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(f.groups[i].action, i % 2 == 0 ? ROW_UPSERT : ROW_DELETE);
        assert_int_equal(f.groups[i].row_count, i == 0 ? 2 : 1);
        assert_true(i == 0 || f.groups[i].round >= f.groups[i - 1].round);
    }
    fold_done(&f);
    batch_free(b);
}

/* Rows ("1P2": an upsert of key 2 by target 1) of two targets of one table with different keys, and
 * the groups that come of them ("0:1P2 ": in round 0, by target 1, upserts of 2 rows). */
static void check_turns(const char *const *rows, size_t n, bool by_sql, const char *wanted)
{
    static const struct kind kind = {.key = TYPE_TEXT};
    struct fixture x[2];
    struct fold f = {0};
    struct batch *b = batch_new();
    char got[256] = "";
    size_t length = 0;

    make_fixture(&x[0], 0, &kind);
    make_fixture(&x[1], 1, &kind);
    x[1].table.oid = x[0].table.oid;
    x[1].columns[1].name = names[COLUMN_KEY2];
    x[1].target.keys_by_sql = by_sql;
    batch_record_begin(b, batch_span(b, b, "orders", 0, 1, 0), 0, -1, -1);
    for (size_t i = 0; i < n; i++) {
        struct row row = row_of_text(rows[i] + 1, (int) i);
        row.values[COLUMN_KEY] = rows[i][2] - '0';
        add_row(b, &x[rows[i][0] - '0'], &row);
    }
    batch_record_end(b);
    fold_batch(&f, b);
    for (size_t i = 0; i < f.group_count; i++) {
        const struct fold_group *g = &f.groups[i];
        length += (size_t) snprintf(got + length, sizeof got - length, "%u:%u%c%zu ", g->round,
                                    g->target->id, g->action == ROW_DELETE ? 'D' : 'P',
                                    g->row_count);
    }
    assert_string_equal(got, wanted);
    fold_done(&f);
    batch_free(b);
}

/* Routes into one table whose keys are of different columns: what one deletes the other may have
 * put, so the order between them stays. */
static void test_keys_of_different_columns(void **state)
{
    (void) state;
    static const char *const rows[] = {"0P0", "0P1", "1D0", "0P0", "0P0", "1P2", "1D2"};
    static const char *const deletes[] = {"1D0", "1D1", "0D2"};

    check_turns(rows, ARRAY_LEN(rows), false, "0:0P2 1:1D1 2:0P1 3:1D1 ");
    check_turns(deletes, ARRAY_LEN(deletes), false, "0:1D2 1:0D1 ");
}

/* ... and if SQL has to compare those of one, the rows of the other are still one for each key. */
static void test_keys_of_which_some_are_by_sql(void **state)
{
    (void) state;
    static const char *const rows[] = {"0P0", "0P0", "0P1", "1D0", "1P0", "1P0", "0P0", "0D0"};

    check_turns(rows, ARRAY_LEN(rows), true, "0:0P2 1:1D1 1:1P2 2:0D1 ");
}

/* A key that is as good as its bytes lie: ("a", "b") is not ("ab", ""). NaN is equal to itself. */
static void test_keys_that_only_look_alike(void **state)
{
    (void) state;
    static const char nan[] = "\0\0\0\0\xC0\0\0\0";
    static const struct kind kind = {.key = TYPE_NUMERIC};
    struct fixture x;
    struct fold f = {0};
    struct batch *b = batch_new();
    make_fixture(&x, 0, &kind);
    batch_record_begin(b, batch_span(b, b, "orders", 0, 1, 0), 0, -1, -1);
    for (int i = 0; i < 4; i++) {
        struct buf *out = batch_row_begin(b, batch_part(b, &x.target, ROW_DELETE, 0));
        buf_add_u16(out, 1);
        if (i % 2 == 0) {
            add_field(out, nan, 8);
        } else {
            add_numeric_key(out, 0);
        }
        batch_row_end(b, batch_part(b, &x.target, ROW_DELETE, 0));
    }
    batch_record_end(b);
    fold_batch(&f, b);
    assert_int_equal(f.group_count, 1);
    assert_int_equal(f.groups[0].row_count, 2);
    fold_done(&f);
    batch_free(b);
}

/* An update that holds only the key has nothing to say. */
static void test_an_update_of_nothing(void **state)
{
    (void) state;
    struct fold f = {0};
    struct fixture x = {.target = {.table = &x.table, .columns = x.filled, .omit_leaves = true}};
    add_column(&x, COLUMN_KEY, TYPE_INT4, -1);
    add_column(&x, COLUMN_B, TYPE_INT4, 0);
    struct batch *b = batch_new();
    batch_record_begin(b, batch_span(b, b, "orders", 0, 1, 0), 0, -1, -1);
    struct row row = {.action = ROW_UPDATE, .omit = 1};
    add_row(b, &x, &row);
    fold_batch(&f, b);
    assert_int_equal(f.group_count, 0);
    row.omit = 0;
    add_row(b, &x, &row);
    batch_record_end(b);
    fold_batch(&f, b);
    assert_int_equal(f.group_count, 1);
    assert_int_equal(f.groups[0].omit, 0);
    fold_done(&f);
    batch_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups_store_what_the_rows_would),
        cmocka_unit_test(test_without_a_version),
        cmocka_unit_test(test_an_upsert_that_leaves_what_it_omits),
        cmocka_unit_test(test_with_a_version),
        cmocka_unit_test(test_groups_come_in_the_order_of_targets),
        cmocka_unit_test(test_rows_come_in_the_order_of_keys),
        cmocka_unit_test(test_rows_without_a_key_are_sent_as_they_are),
        cmocka_unit_test(test_keys_that_only_sql_can_compare),
        cmocka_unit_test(test_keys_of_different_columns),
        cmocka_unit_test(test_keys_of_which_some_are_by_sql),
        cmocka_unit_test(test_keys_that_only_look_alike),
        cmocka_unit_test(test_an_update_of_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
