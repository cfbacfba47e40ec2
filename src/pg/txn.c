/*
 * The face of a txn, see txn.h: which write path a batch may take, its start, and the step that
 * goes to the path of the oldest flight. What a path does, what the server answers, and what its
 * errors mean, is in the files that txn_state.h lists. Worker thread.
 */
#include "pg/txn.h"

#include "base/buf.h"
#include "base/mem.h"
#include "pg/txn_state.h"
#include "row/table/table.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>

struct txn *txn_new(const char *schema, const char *sink, bool ledger)
{
    struct txn *t = mem_zalloc(sizeof *t);

    t->schema = schema != NULL ? mem_strdup(schema) : NULL;
    t->sink = mem_strdup(sink);
    t->ledger = ledger;
    t->statements = statements_new(schema);
    return t;
}

void txn_set_schema(struct txn *t, const char *schema)
{
    assert(t->schema == NULL && t->flight_count == 0);
    t->schema = mem_strdup(schema);
    t->statements = statements_with_schema(t->statements, schema);
}

bool txn_has_schema(const struct txn *t)
{
    return t->schema != NULL;
}

struct txn *txn_free(struct txn *t)
{
    if (t != NULL) {
        statements_free(t->statements);
        for (size_t i = 0; i < TXN_FLIGHTS; i++) {
            free(t->flights[i].answers);
        }
        for (size_t i = 0; i < t->parameter_count; i++) {
            buf_done(&t->parameters[i]);
        }
        free(t->parameters);
        fold_done(&t->fold);
        target_marks_done(&t->marks);
        buf_done(&t->staged);
        free(t->places);
        free(t->runs);
        txn_tried_done(t);
        free(t->steps);
        buf_done(&t->sql);
        free(t->order);
        free(t->schema);
        free(t->sink);
        free(t->letters_of);
        free(t->audited_as);
        free(t);
    }
    return NULL;
}

void txn_take_letters(struct txn *t, const char *route)
{
    assert(t->schema != NULL && !t->ledger);
    free(t->letters_of);
    t->letters_of = mem_strdup(route);
}

void txn_audit(struct txn *t, const char *owner)
{
    assert(t->schema != NULL && t->flight_count == 0);
    free(t->audited_as);
    t->audited_as = owner != NULL ? mem_strdup(owner) : NULL;
}

void txn_set_lock_timeout(struct txn *t, usec_t timeout)
{
    t->lock_timeout = timeout;
}

/* --- start and step --- */

static void order_spans(struct txn *t, const struct batch *b)
{
    while (t->order_cap < b->span_count) {
        t->order = mem_grow(t->order, &t->order_cap, t->order_cap, sizeof *t->order);
    }
    batch_span_order(b, t->order);
}

bool txn_fits_unnest(struct txn *t, const struct batch *b)
{
    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *p = &b->parts[i];
        const struct rows_shape shape = {p->target, p->action, p->omit};
        if (p->row_count > 0 && (p->target->table->has_rules || !rows_unnest(&shape) ||
                                 !statements_of(t->statements, &shape)->may_prepare)) {
            return false;
        }
    }
    return true;
}

bool txn_fits_each(const struct txn *t, const struct batch *b)
{
    if (t->schema == NULL) {
        return false; /* it needs a function of ours */
    }
    for (size_t i = 0; i < b->part_count; i++) {
        if (b->parts[i].row_count > 0 && b->parts[i].target->table->has_rules) {
            return false;
        }
    }
    return true;
}

const struct txn_refusal *txn_refusals(const struct txn *t, size_t *out_n)
{
    *out_n = t->refusal_count;
    return t->refusals;
}

static struct flight *flight_add(struct txn *t, const struct batch *b, enum txn_path path)
{
    struct flight *f = &t->flights[t->flight_count++];

    f->b = b;
    f->path = path;
    f->answer_count = 0;
    f->answer = 0;
    f->advanced = !t->ledger && t->letters_of == NULL;
    f->heard = false;
    f->may_commit = false;
    f->fault.class = ERROR_NONE;
    f->fault_target = NULL;
    f->fatal = false;
    f->changed = false;
    f->no_temporary = false;
    f->fault_part = TXN_NO_ROW;
    f->fault_row = TXN_NO_ROW;
    return f;
}

void txn_forget(struct txn *t, const struct target *const *targets, size_t n)
{
    assert(t->flight_count == 0);
    statements_forget(t->statements, targets, n);
}

bool txn_may_follow(const struct txn *t)
{
    return t->flight_count > 0 && t->flight_count < TXN_FLIGHTS &&
           t->flights[t->flight_count - 1].path == TXN_UNNEST;
}

bool txn_start(struct txn *t, struct conn *c, const struct batch *b, enum txn_path path,
               struct error *err)
{
    assert(!batch_is_empty(b));
    assert(path != TXN_UNNEST || t->letters_of == NULL);
    assert(t->flight_count == 0 || (path == TXN_UNNEST && txn_may_follow(t) && t->c == c));
    if (t->flight_count == 0) {
        t->c = c;
        t->is_to_clean = statements_meet(t->statements, c);
        conn_begin(c);
    } else {
        t->is_to_clean = false;
    }
    order_spans(t, b);
    if (path == TXN_UNNEST && !txn_fits_unnest(t, b)) {
        path = TXN_COPY;
    }
    txn_tried_begin(t);
    if (path != TXN_EACH) {
        fold_batch(&t->fold, b);
    }
    const struct flight *f = flight_add(t, b, path);
    if (!(f->path == TXN_UNNEST ? txn_unnest_send(t, err) : txn_copy_send(t, err))) {
        t->c = NULL;
        t->flight_count = 0;
        return false;
    }
    c->events = POLLIN | POLLOUT; /* the first step flushes; txn_step will report the outcome */
    return true;
}

enum txn_step txn_step(struct txn *t, struct txn_result *out)
{
    assert(t->c != NULL && t->flight_count > 0);
    return t->flights[0].path == TXN_UNNEST ? txn_unnest_step(t, out) : txn_copy_step(t, out);
}

enum txn_outcome txn_abandon(struct txn *t)
{
    bool may_commit = false;

    for (size_t i = 0; i < t->flight_count; i++) {
        may_commit = may_commit || t->flights[i].may_commit;
    }
    if (t->c != NULL) {
        conn_close(TAKE_PTR(t->c));
    }
    t->flight_count = 0;
    return may_commit ? TXN_UNKNOWN : TXN_ROLLED_BACK;
}
