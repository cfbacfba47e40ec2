/*
 * The answers that a transaction on its way waits for, and how it ends; see txn.h. Both write paths
 * share this. An ERROR is always a rollback. A FATAL error, or the end of the connection, may come
 * between the commit and its answer: then flight.may_commit decides.
 *
 * What an error means is not decided here but in txn_blame.c. Worker thread.
 */
#include "base/mem.h"
#include "pg/sqlstate.h"
#include "pg/txn_state.h"
#include "row/table/table.h"

#include <assert.h>

/* --- what is asked --- */

const struct answer *txn_expected(const struct flight *f)
{
    return f->answer < f->answer_count ? &f->answers[f->answer] : NULL;
}

void txn_expect(struct flight *f, struct answer a)
{
    f->answers = mem_grow(f->answers, &f->answer_cap, f->answer_count, sizeof *f->answers);
    f->answers[f->answer_count++] = a;
}

/* --- the end of a flight --- */

/* Takes the oldest flight out; its memory is kept for a later one. */
static struct flight flight_take(struct txn *t)
{
    struct flight first = t->flights[0];

    t->flight_count--;
    for (size_t i = 0; i + 1 < TXN_FLIGHTS; i++) {
        t->flights[i] = t->flights[i + 1];
    }
    t->flights[TXN_FLIGHTS - 1] = first;
    return first;
}

static enum txn_step done(struct txn *t, enum txn_outcome outcome, struct txn_result *out)
{
    struct flight f = flight_take(t);

    if (t->flight_count == 0) {
        t->c = NULL;
    }
    *out = (struct txn_result){
        .outcome = outcome,
        .path = f.path,
        .error = f.fault,
        .part = f.fault_part,
        .row = f.fault_row,
        .target = f.fault_target,
        .ledger_locked = t->ledger && !f.advanced &&
                         sqlstate_is(f.fault.sqlstate, SQLSTATE_LOCK_NOT_AVAILABLE),
        .changed = f.changed,
        .advanced = t->ledger || t->letters_of != NULL ? f.advanced : f.heard,
        .no_temporary = f.no_temporary,
    };
    return TXN_DONE;
}

enum txn_step txn_lost(struct txn *t, struct txn_result *out)
{
    bool may_commit = t->flights[0].may_commit;

    assert(t->flights[0].fault.class == ERROR_LINK); /* or the caller would go on using it */
    (void) done(t, may_commit ? TXN_UNKNOWN : TXN_ROLLED_BACK, out);
    t->flight_count = 0;
    t->c = NULL;
    return TXN_DONE;
}

enum txn_step txn_break_off(struct txn *t, const char *why, struct txn_result *out)
{
    conn_close(t->c);
    error_set(&t->flights[0].fault, ERROR_LINK, "%s", why);
    return txn_lost(t, out);
}

/* The connection is ready again, unless a younger flight is on its way. */
static enum txn_step landed(struct txn *t, enum txn_outcome outcome, struct txn_result *out)
{
    if (t->flight_count == 1) {
        conn_end(t->c);
    }
    return done(t, outcome, out);
}

enum txn_step txn_finish(struct txn *t, struct txn_result *out)
{
    struct flight *f = &t->flights[0];

    if (f->fault.class == ERROR_NONE) {
        if (!f->advanced || txn_expected(f) != NULL) {
            return txn_break_off(t, "postgresql did not answer every statement", out);
        }
        statements_met_rows(t->statements, f->b);
        return landed(t, TXN_COMMITTED, out);
    }
    if (f->fatal) {
        f->fault.class = ERROR_LINK;
        conn_close(t->c);
        return txn_lost(t, out);
    }
    if (f->fault.class == ERROR_LINK) {
        conn_close(t->c);
        f->may_commit = false; /* an ERROR: rolled back */
        return txn_lost(t, out);
    }
    return landed(t, TXN_ROLLED_BACK, out);
}
