/* See try_rows.h. Main thread. */
#include "command/try_rows.h"

#include "base/mem.h"
#include "command/escape.h"
#include "row/table/tuple.h"
#include "sink/schemas/teacher.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void tried_done(struct tried *t)
{
    for (size_t i = 0; i < t->row_count; i++) {
        struct tried_row *row = &t->rows[i];
        for (size_t k = 0; k < row->column_count; k++) {
            free(row->columns[k].value);
        }
        for (size_t k = 0; k < row->part->target->column_count; k++) {
            free(row->sent[k]);
        }
        free(row->columns);
        free(row->there);
        free(row->sent);
    }
    free(t->rows);
    if (t->trial.decoder != NULL) {
        trial_done(&t->trial);
    }
    *t = (struct tried){0};
}

bool tried_is_fine(const struct tried *t)
{
    return t->unusable.class == ERROR_NONE && t->trial.rejected == 0 &&
           t->refused.class == ERROR_NONE;
}

static bool is_of_record(const struct error *err)
{
    return err->class == ERROR_RECORD || err->class == ERROR_DOUBT;
}

bool tried_parks(const struct tried *t)
{
    return t->trial.rejected == 0 && t->refused.class != ERROR_NONE && !is_of_record(&t->refused);
}

const char *tried_nothing(const struct tried *t)
{
    static const char *const words[NOTHING_COUNT] = {
        [NOTHING_WHEN] = "when does not take it",
        [NOTHING_TOMBSTONE] = "it is a tombstone",
        [NOTHING_EVENT] = "it is an event that concerns no row",
        [NOTHING_ELEMENTS] = "no element to explode",
        [NOTHING_IGNORED] = "it deletes or truncates, which the route ignores",
    };

    for (size_t i = 0; i < NOTHING_COUNT; i++) {
        if (t->trial.nothing[i] > 0) {
            return words[i];
        }
    }
    return "it makes none";
}

/* ---- a row ---- */

/* One row on its way into the model. */
struct making {
    struct tried *t;
    struct conn *c;
    struct tried_row *row;
    struct rows_shape shape;
    struct str *fields; /* one for each column of the target; absent: NULL, or not held */
    struct str there;   /* of a mixed row */
};

static struct str take_field(const char **at)
{
    static const char null[TUPLE_LENGTH_BYTES] = {'\377', '\377', '\377', '\377'};
    struct str field = tuple_next(at);

    return memcmp(field.p, null, sizeof null) == 0 ? (struct str){.p = NULL, .n = 0}
                                                   : tuple_data(field);
}

static void read_fields(struct making *k, struct str tuple)
{
    const struct target *t = k->shape.target;
    const char *at = tuple_fields(tuple);

    for (size_t i = 0; i < t->column_count; i++) {
        if (target_holds(t, i, k->shape.action, k->shape.omit)) {
            k->fields[i] = take_field(&at);
        }
    }
    if (rows_are_mixed(&k->shape)) {
        _cleanup_buf_ struct buf hex = {0};
        k->there = take_field(&at);
        assert(k->there.p != NULL);
        buf_add_z(&hex, "\\x");
        escape_add_hex(&hex, k->there);
        k->row->there = mem_strdup(buf_cstr(&hex));
    }
}

static bool holds(const struct making *k, size_t i)
{
    const struct target *t = k->shape.target;
    int bit = t->columns[i].omit_bit;

    if (k->there.p != NULL && bit >= 0) {
        return ((unsigned char) k->there.p[bit / 8] >> (bit % 8) & 1) != 0;
    }
    return target_holds(t, i, k->shape.action, k->shape.omit);
}

/* The target's fault is one of every record: it hides those of values. */
static bool is_worse(const struct error *err, const struct error *than)
{
    return than->class == ERROR_NONE || (is_of_record(than) && !is_of_record(err));
}

/* A fault of a value is a finding; only one of the connection ends it. */
static bool take_fault(struct making *k, struct tried_column *out, struct error *err)
{
    if (err->class == ERROR_LINK) {
        return false;
    }
    if (strcmp(err->sqlstate, PREVIEW_WRITES) == 0) {
        out->state = TRIED_UNKNOWN;
        return true;
    }
    out->state = TRIED_REFUSED;
    if (is_worse(err, &k->t->refused)) {
        error_wrap(err, "column '%s'", out->column->name);
        k->t->refused = *err;
        k->t->refused_row = k->t->row_count - 1;
    }
    return true;
}

/* What expressions name is no column of the table. */
static bool send_inputs(struct making *k, struct error *err)
{
    const struct target *t = k->shape.target;
    bool ok = true;

    for (size_t i = 0; ok && i < t->column_count; i++) {
        ok = !t->columns[i].is_input ||
             preview_field(k->c, t->columns[i].column, k->fields[i], &k->row->sent[i], err);
    }
    return ok;
}

/* The bytes of a value that PostgreSQL refuses are what was read, if they are a text. */
static bool send_field(struct making *k, size_t i, struct tried_column *out, struct error *err)
{
    struct str field = k->fields[i];

    if (preview_field(k->c, k->shape.target->columns[i].column, field, &k->row->sent[i], err)) {
        return true;
    }
    if (field.p != NULL && str_utf8(field, NULL)) {
        k->row->sent[i] = mem_strndup(field.p, field.n);
    }
    out->value = mem_strdup(k->row->sent[i] != NULL ? k->row->sent[i] : "");
    return false;
}

static bool make_value(struct making *k, size_t i, struct tried_column *out, struct error *err)
{
    if (!send_field(k, i, out, err)) {
        return take_fault(k, out, err);
    }
    const char *sent = k->row->sent[i];
    out->state = sent != NULL ? TRIED_VALUE : TRIED_NULL;
    if (sent == NULL || !rows_are_cast(&k->shape, i)) {
        out->value = sent != NULL ? mem_strdup(sent) : NULL;
        return true;
    }
    if (preview_cast(k->c, &k->shape, i, k->fields[i], &out->value, err)) {
        out->state = out->value != NULL ? TRIED_VALUE : TRIED_NULL;
        return true;
    }
    out->value = mem_strdup(sent);
    return take_fault(k, out, err);
}

static bool make_computed(struct making *k, size_t i, struct tried_column *out, struct error *err)
{
    if (!preview_expression(k->c, &k->shape, i, k->fields, &out->value, err)) {
        return take_fault(k, out, err);
    }
    out->state = out->value != NULL ? TRIED_VALUE : TRIED_NULL;
    return true;
}

static enum tried_state state_omitted(const struct making *k)
{
    bool is_kept = k->shape.action == ROW_UPDATE ||
                   (k->shape.action == ROW_UPSERT && k->shape.target->omit_leaves);

    return is_kept ? TRIED_KEPT : TRIED_DEFAULT;
}

static size_t find_field(const struct target *t, const struct column *c)
{
    size_t i = 0;

    while (i < t->column_count && t->columns[i].column != c) {
        i++;
    }
    return i;
}

static size_t find_expression(const struct target *t, const struct column *c)
{
    size_t i = 0;

    while (i < t->expression_count && t->expressions[i].column != c) {
        i++;
    }
    return i;
}

/* Deletes concern only what finds the row. */
static bool make_column(struct making *k, size_t number, struct error *err)
{
    const struct target *t = k->shape.target;
    const struct column *c = &t->table->columns[number];
    size_t field = find_field(t, c);
    size_t expression = find_expression(t, c);
    struct tried_column *out = &k->row->columns[k->row->column_count];
    const char *encoding;

    *out = (struct tried_column){.column = c, .state = TRIED_NOT};
    mapping_describe(k->row->mapping, number, &out->source, &encoding);
    bool is_held = field < t->column_count && holds(k, field);
    if (k->shape.action >= ROW_DELETE && !is_held) {
        return true;
    }
    k->row->column_count++;
    if (is_held) {
        return make_value(k, field, out, err);
    }
    if (field < t->column_count) {
        out->state = state_omitted(k);
    } else if (expression < t->expression_count && rows_are_computed(&k->shape)) {
        return make_computed(k, expression, out, err);
    }
    return true;
}

static bool make_columns(struct making *k, struct error *err)
{
    const struct table *table = k->shape.target->table;

    if (!send_inputs(k, err)) {
        return false;
    }
    for (size_t i = 0; k->shape.action != ROW_TRUNCATE && i < table->column_count; i++) {
        if (!make_column(k, i, err)) {
            return false;
        }
    }
    return true;
}

static bool make_row(struct tried *t, struct conn *c, const struct batch_part *part, size_t number,
                     struct error *err)
{
    struct tried_row *row = &t->rows[t->row_count++];
    size_t n = MAX(part->target->column_count, 1);
    _cleanup_mem_ struct str *fields = mem_array(n, sizeof *fields);
    struct making k = {
        .t = t,
        .c = c,
        .row = row,
        .shape = {.target = part->target, .action = part->action, .omit = part->omit},
        .fields = fields,
    };

    *row = (struct tried_row){
        .part = part,
        .mapping = trial_mapping(&t->trial, part->target),
        .columns = mem_array(MAX(part->target->table->column_count, 1), sizeof *row->columns),
        .sent = mem_array(n, sizeof *row->sent),
    };
    read_fields(&k, batch_tuple(part, number));
    return make_columns(&k, err);
}

/* Asks for the schemas that the record names. */
static bool teach(struct tried *t, const struct config *cfg, const struct message *msg,
                  struct error *err)
{
    struct teacher *teacher = teacher_new(cfg, NULL, -1);
    bool ok = true;

    while (ok && trial_lacks(&t->trial, msg)) {
        ok = teacher_teach(teacher, t->trial.decoder, err);
    }
    teacher_free(teacher);
    return ok;
}

bool tried_make(struct tried *t, const struct config *cfg, struct conn *c,
                const struct message *msg, struct error *err)
{
    struct batch_walk walk;
    size_t part;
    size_t row;
    bool ok = true;

    trial_init(&t->trial, &t->way);
    t->lacks_schema = !teach(t, cfg, msg, err);
    if (t->lacks_schema) {
        return false;
    }
    trial_add(&t->trial, msg);
    t->rows = mem_array(TRY_ROWS_MAX, sizeof *t->rows);
    batch_walk_begin(&walk, t->trial.batch);
    while (ok && batch_walk_next(&walk, &part, &row)) {
        if (t->row_count == TRY_ROWS_MAX) {
            t->rows_left_out++;
        } else {
            ok = make_row(t, c, &t->trial.batch->parts[part], row, err);
        }
    }
    batch_walk_done(&walk);
    return ok;
}

/* ---- the statements ---- */

/* Not all rows can be sent as arrays. */
static void add_staged(const struct rows_shape *s, struct buf *out)
{
    static const char stage[] = "pgsinkd_stage";

    rows_sql_create(out, s, stage, false);
    buf_add_z(out, ";\n");
    rows_sql_copy(out, s, stage, false);
    buf_add_z(out, ";\n");
    rows_sql_store(out, s, ROWS_STAGE, stage, NULL);
}

void tried_sql(const struct batch_part *part, struct buf *out)
{
    const struct rows_shape s = {
        .target = part->target, .action = part->action, .omit = part->omit};

    if (rows_are_bare(&s)) {
        rows_sql_bare(out, &s, part->row_count, NULL);
    } else if (rows_unnest(&s)) {
        rows_sql_store(out, &s, ROWS_UNNEST, NULL, NULL);
    } else if (rows_are_direct(&s)) {
        rows_sql_copy(out, &s, NULL, false);
    } else {
        add_staged(&s, out);
    }
}
