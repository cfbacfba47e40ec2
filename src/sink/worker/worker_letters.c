/*
 * Records that cannot be stored, where their route wants dead letters of them. What we find out
 * ourselves becomes one at once. What PostgreSQL refuses is known long after the record was
 * encoded: then the record as it came is needed again, and is there only if the batch has kept it.
 * Keeping costs memory and time, so batches do it only for a while after a record was refused, and
 * the first refused one is fetched again. A record that may not become a dead letter stops its
 * partition. Worker thread.
 */
#include "base/log.h"
#include "base/mem.h"
#include "kafka/feed.h"
#include "pg/sqlstate.h"
#include "row/batch/dead_letter.h"
#include "sink/plan/policy.h"
#include "sink/worker/worker_state.h"

#include <assert.h>
#include <stdlib.h>

/* How long records are kept after one was refused. */
#define KEEP_FOR (300 * USEC_PER_SEC)

/* The first one of a while is logged for all of them. */
static void report_letter(struct worker *w, const struct slot *s, const struct message *msg,
                          const struct policy *p, const struct error *err)
{
    struct error e = *err;
    uint64_t held_back;

    if (!log_limit_pass(&w->letters, &held_back)) {
        return;
    }
    error_wrap(&e, "dead letter of route '%s': " STR_FMT "-%d@%lld", p->route, STR_ARG(msg->topic),
               msg->partition, (long long) msg->offset);
    if (held_back > 0) {
        error_wrap(&e, "%llu more dead letters since the last such line",
                   (unsigned long long) held_back);
    }
    worker_report(w, REPORT_LETTER, s, msg->offset, &e);
}

static void add_letter(struct worker *w, struct batch *b, const struct policy *p,
                       const struct message *msg, enum dead_letter_class class,
                       const struct error *err)
{
    const struct target *letters = w->wc.policies->letters;
    /* A batch that is sent twice must not be refused because of its own dead letters. */
    enum row_action action = w->delivery == DELIVERY_AT_LEAST_ONCE ? ROW_IGNORE : ROW_INSERT;
    uint32_t part = batch_part(b, letters, action, 0);
    const struct dead_letter letter = {
        .sink = w->wc.cfg->sink,
        .route = p->route,
        .message = msg,
        .class = class,
        .error = err,
        .escapes = !letters->table->is_utf8,
        .attempts = 1,
    };

    const struct slot *s = b->spans[b->records[b->record_count].span].tag;
    dead_letter_write(&letter, batch_row_begin(b, part));
    batch_row_end(b, part);
    batch_take(b, p->number, true);
    report_letter(w, s, msg, p, err);
}

/* ---- found by us ---- */

bool worker_letters_reject(struct worker *w, uint32_t route, struct message *msg, struct error *err)
{
    const struct policy *p = policies_at(w->wc.policies, route);

    if (!p->dead_letter) {
        return false;
    }
    feed_headers(w->wc.feed, msg);
    add_letter(w, w->open, p, msg, DEAD_LETTER_RECORD, err);
    return true;
}

/* ---- found by PostgreSQL ---- */

static void keep_from_now(struct worker *w)
{
    if (policies_want_letters(w->wc.policies)) {
        w->keep_until = clock_mono() + KEEP_FOR;
    }
}

bool worker_letters_keeps(const struct worker *w)
{
    return w->keep_until > clock_mono();
}

/* Rows that are refused, in the order of their records. */
struct condemned {
    const struct txn_refusal *list;
    size_t count;
};

static size_t record_of(const struct batch *b, const struct txn_refusal *r)
{
    return b->parts[r->part].rows[r->row].record;
}

static struct policy *policy_of(const struct worker *w, const struct batch *b,
                                const struct txn_refusal *r)
{
    return policies_find(w->wc.policies, b->parts[r->part].target);
}

/* Is it the first row of its record that this route has made? One dead letter is enough. */
static bool is_first(const struct worker *w, const struct batch *b, const struct condemned *c,
                     size_t i)
{
    for (size_t k = i; k-- > 0 && record_of(b, &c->list[k]) == record_of(b, &c->list[i]);) {
        if (policy_of(w, b, &c->list[k]) == policy_of(w, b, &c->list[i])) {
            return false;
        }
    }
    return true;
}

/* The first that may not become a dead letter, or c->count; *err then says why. */
static size_t find_stop(struct worker *w, const struct batch *b, const struct condemned *c,
                        struct error *err)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct policy *p = policy_of(w, b, &c->list[i]);
        *err = *c->list[i].error;
        if (p == NULL || !p->dead_letter) {
            return i;
        }
    }
    return c->count;
}

/* The slots of refused records that were not kept, each once. `out` has room for every span. */
static size_t find_not_kept(const struct batch *b, const struct condemned *c, struct slot **out)
{
    _cleanup_mem_ bool *found = mem_array(MAX(b->span_count, 1), sizeof *found);
    size_t n = 0;

    for (size_t i = 0; i < c->count; i++) {
        size_t record = record_of(b, &c->list[i]);
        uint32_t span = b->records[record].span;
        if (!batch_has_kept(b, record) && !found[span]) {
            found[span] = true;
            out[n++] = b->spans[span].tag;
        }
    }
    return n;
}

/* Fetches the partitions of refused records that were not kept again; from now on they are kept. */
static bool fetch_again(struct worker *w, const struct batch *b, const struct condemned *c)
{
    _cleanup_mem_ struct slot **slots = mem_array(MAX(b->span_count, 1), sizeof(struct slot *));
    size_t n = find_not_kept(b, c, slots);
    struct error why;

    error_set(&why, ERROR_RECORD, "postgresql refuses a record, which has to be kept as it came");
    for (size_t i = 0; i < n; i++) {
        worker_slot_read_again(w, slots[i], &why);
    }
    return n > 0;
}

static void write_letter(struct worker *w, const struct batch *b, const struct txn_refusal *r,
                         struct batch *to)
{
    size_t record = record_of(b, r);
    struct message msg;
    size_t n = batch_kept_headers(b, record);
    _cleanup_mem_ struct message_header *headers = mem_array(MAX(n, 1), sizeof *headers);

    batch_kept(b, record, &msg, headers);
    add_letter(w, to, policy_of(w, b, r), &msg, DEAD_LETTER_DATABASE, r->error);
    batch_compare(to, b->parts[r->part].target); /* the table may change before this is sent */
}

/* Is a row refused that this route has made of the record? */
static bool is_refused(const struct worker *w, const struct batch *b, const struct condemned *c,
                       size_t from, size_t record, const struct policy *p)
{
    for (size_t i = from; i < c->count && record_of(b, &c->list[i]) == record; i++) {
        if (policy_of(w, b, &c->list[i]) == p) {
            return true;
        }
    }
    return false;
}

/* All rows that a route has made of a record are left out when one of them is refused. */
static bool is_condemned(const struct worker *w, const struct batch *b, const struct condemned *c,
                         size_t from, size_t part, size_t record)
{
    const struct policy *p = policies_find(w->wc.policies, b->parts[part].target);

    return p != NULL && is_refused(w, b, c, from, record, p);
}

static void copy_spans(const struct batch *b, struct batch *to)
{
    for (size_t i = 0; i < b->span_count; i++) {
        const struct span *s = &b->spans[i];
        uint32_t span = batch_span(to, s->tag, s->topic, s->partition, s->owner_epoch, s->from);
        to->spans[span].end_offset = s->end_offset;
        to->spans[span].fp = s->fp;
    }
}

static void begin_record(const struct batch *b, size_t record, struct batch *to)
{
    const struct batch_record *r = &b->records[record];

    batch_record_begin(to, r->span, r->offset, r->timestamp_ms, r->leader_epoch);
    batch_keep_again(to, b, record);
}

/* Which routes have taken the record, but for those of which it becomes a dead letter now. */
static void copy_taken(const struct worker *w, const struct batch *b, const struct condemned *c,
                       size_t from, size_t record, size_t *at, struct batch *to)
{
    for (; *at < b->taken_count && b->taken[*at].record == record; (*at)++) {
        const struct batch_taken *t = &b->taken[*at];
        if (!is_refused(w, b, c, from, record, policies_at(w->wc.policies, t->route))) {
            batch_take(to, t->route, t->letter);
        }
    }
}

/* Writes the batch again, with dead letters in place of what is refused. Returns how many rows have
 * been left out. */
static size_t rewrite(struct worker *w, const struct batch *b, const struct condemned *c,
                      struct batch *to)
{
    struct batch_walk walk;
    size_t part = 0;
    size_t row = 0;
    size_t next = 0;  /* the first refusal of a record that is not passed */
    size_t taken = 0; /* the first of b->taken of such a record */
    size_t left_out = 0;

    to->opened_usec = b->opened_usec;
    copy_spans(b, to);
    batch_compare_as(to, b);
    batch_walk_begin(&walk, b);
    bool left = batch_walk_next(&walk, &part, &row);
    for (size_t record = 0; record < b->record_count; record++) {
        begin_record(b, record, to);
        for (; left && b->parts[part].rows[row].record == record;
             left = batch_walk_next(&walk, &part, &row)) {
            if (is_condemned(w, b, c, next, part, record)) {
                left_out++;
            } else {
                batch_copy_row(&b->parts[part], row, to);
            }
        }
        copy_taken(w, b, c, next, record, &taken, to);
        for (; next < c->count && record_of(b, &c->list[next]) == record; next++) {
            if (is_first(w, b, c, next)) {
                write_letter(w, b, &c->list[next], to);
            }
        }
        batch_record_end(to);
    }
    batch_walk_done(&walk);
    for (size_t i = 0; i < b->span_count; i++) {
        batch_span_skip(to, (uint32_t) i, b->spans[i].next);
    }
    return left_out;
}

bool worker_letters_fetch(struct worker *w, const struct txn_result *r)
{
    const struct batch *b = w->outbox[0];

    if (r->error.class != ERROR_RECORD || r->row == TXN_NO_ROW) {
        return false;
    }
    const struct txn_refusal named = {
        .part = r->part, .row = r->row, .error = &r->error, .class = r->error.class};
    const struct condemned c = {&named, 1};
    const struct policy *p = policy_of(w, b, &named);
    if (p == NULL || !p->dead_letter) {
        return false;
    }
    keep_from_now(w);
    return fetch_again(w, b, &c);
}

/* What is refused becomes dead letters: in this batch, or after it has been fetched again. */
static void bury(struct worker *w, const struct condemned *c)
{
    struct batch *b = w->outbox[0];

    if (fetch_again(w, b, c)) {
        return;
    }
    struct batch *to = worker_outbox_spare(w);
    (void) rewrite(w, b, c, to);
    w->outbox[0] = to;
    worker_outbox_recycle(w, b);
}

/* Could only a look at the records say more? Not where patience decides, or the file of the server
 * that an error of this kind lies in. */
static bool are_certain(const struct condemned *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct txn_refusal *r = &c->list[i];
        bool is_certain = r->class == ERROR_RECORD ||
                          (r->class == ERROR_DOUBT && r->witness != WITNESS_NONE &&
                           !sqlstate_is(r->error->sqlstate, SQLSTATE_PROGRAM_LIMIT_EXCEEDED));
        if (!is_certain) {
            return false;
        }
    }
    return true;
}

static bool are_kept(const struct batch *b, const struct condemned *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (!batch_has_kept(b, record_of(b, &c->list[i]))) {
            return false;
        }
    }
    return true;
}

/*
 * What the transaction has stored can stay only if it is what the batch would store without the
 * refused records: a record of which one row is refused loses those beside it too.
 */
bool worker_letters_give(struct worker *w)
{
    struct batch *b = w->outbox[0];
    struct condemned c;
    struct error why;
    struct policy *policy;
    size_t record;

    c.list = txn_refusals(w->link.txn, &c.count);
    keep_from_now(w);
    if (!are_certain(&c) || find_stop(w, b, &c, &why) < c.count || !are_kept(b, &c)) {
        return false;
    }
    struct batch *to = worker_outbox_spare(w);
    size_t left_out = rewrite(w, b, &c, to);
    policies_give_back(w->wc.policies, b);
    if (left_out != c.count ||
        !policies_reserve(w->wc.policies, to, clock_mono(), &record, &policy)) {
        worker_outbox_recycle(w, to);
        return false;
    }
    write_path_learn(&w->link.path, batch_row_count(b), c.count);
    txn_give(w->link.txn, to);
    w->outbox[0] = to;
    worker_outbox_recycle(w, b);
    return true;
}

/* ---- which record it is ---- */

/* The rows of the only record of the batch; of one part, if it is known which. */
static size_t all_rows(const struct batch *b, const struct txn_result *r, struct txn_refusal *out)
{
    size_t n = 0;

    for (size_t part = 0; part < b->part_count; part++) {
        bool concerned = r->part == TXN_NO_ROW || r->part == part;
        for (size_t row = 0; concerned && row < b->parts[part].row_count; row++) {
            out[n++] = (struct txn_refusal){
                .part = part, .row = row, .error = &r->error, .class = r->error.class};
        }
    }
    return n;
}

static bool bury_only(struct worker *w, const struct txn_result *r, struct error *out_why)
{
    const struct batch *b = w->outbox[0];
    _cleanup_mem_ struct txn_refusal *rows = mem_array(batch_row_count(b), sizeof *rows);
    struct condemned c = {.list = rows, .count = all_rows(b, r, rows)};

    *out_why = r->error;
    keep_from_now(w);
    if (c.count == 0 || find_stop(w, b, &c, out_why) < c.count) {
        return false;
    }
    bury(w, &c);
    return true;
}

/* All of the slot that is not stored, which begins with the first record of outbox[0]. */
static void drop_rest(struct worker *w, struct slot *s)
{
    worker_outbox_drop(w, s);
    worker_due_take_back(w, s);
    if (slot_owns(s)) {
        s->expect = s->stored;
    }
}

/* The only record of outbox[0] is refused: its partition stops there. */
static void stop_culprit(struct worker *w, const struct error *cause)
{
    struct batch *b = w->outbox[0];
    struct slot *s = b->spans[b->records[0].span].tag;
    int64_t offset = b->records[0].offset;
    struct error err = *cause;

    drop_rest(w, s);
    if (slot_owns(s)) {
        worker_slot_stop(w, s, offset, &err);
    }
}

/*
 * The batch was rolled back for one of its records. The part before the record that PostgreSQL
 * names, or half of them when it names none, goes first and alone; a batch of one record that is
 * refused is the proof. Each step sends fewer records, so this ends.
 */
void worker_letters_isolate(struct worker *w, const struct txn_result *r)
{
    struct batch *b = w->outbox[0];

    if (b->record_count <= 1) {
        struct error why;
        assert(b->record_count == 1);
        if (!bury_only(w, r, &why)) {
            stop_culprit(w, &why);
        }
        return;
    }
    size_t cut = b->record_count / 2;
    if (r->row != TXN_NO_ROW) {
        size_t record = b->parts[r->part].rows[r->row].record;
        cut = record > 0 ? record : 1;
    }
    worker_outbox_cut(w, cut);
}

void worker_letters_condemn(struct worker *w, const struct txn_result *r)
{
    struct condemned c;
    struct txn_result at = *r;

    c.list = txn_refusals(w->link.txn, &c.count);
    struct error why;
    size_t stop = find_stop(w, w->outbox[0], &c, &why);
    keep_from_now(w);
    write_path_learn(&w->link.path, batch_row_count(w->outbox[0]), c.count);
    if (c.count > 0 && stop == c.count) {
        bury(w, &c);
        return;
    }
    if (c.count > 0) { /* the records before it go first and alone */
        at.part = c.list[stop].part;
        at.row = c.list[stop].row;
        at.error = *c.list[stop].error;
    }
    worker_letters_isolate(w, &at);
}

/* ---- how many there may be ---- */

/* Why the first record of b is a dead letter of that route. */
static void read_fault(const struct worker *w, const struct batch *b, const struct policy *p,
                       struct error *out)
{
    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *part = &b->parts[i];
        for (size_t row = 0; part->target == w->wc.policies->letters && row < part->row_count &&
                             part->rows[row].record == 0;
             row++) {
            struct str route;
            dead_letter_read(batch_tuple(part, row), &route, out);
            if (str_eq_z(route, p->route)) {
                return;
            }
        }
    }
    assert(false); /* it was counted when it was written */
}

void worker_letters_over_limit(struct worker *w, struct slot *s, struct policy *p, int64_t offset,
                               struct error *err)
{
    struct standing why = {.state = STANDING_OVER_LIMIT, .offset = offset, .retry_at = USEC_NEVER};

    policy_exceeded(p, err);
    if (w->link.ledger == NULL) { /* nor is there a resume() */
        error_hint(err, "Where so much fails it is rarely the records: look at the table and at "
                        "dead_letters. Then restart the daemon, which gives the route as many "
                        "again, or raise max_dead_letters of the route.");
    }
    why.why = *err;
    worker_slot_stand(w, s, &why);
    s->fault_after =
        UINT64_MAX; /* its records may be rejected by an old description of its tables */
}

bool worker_letters_fit(struct worker *w)
{
    struct batch *b = w->outbox[0];
    struct policy *p;
    size_t record;

    if (policies_reserve(w->wc.policies, b, clock_mono(), &record, &p)) {
        return true;
    }
    if (record > 0) {
        worker_outbox_cut(w, record);
        return false;
    }
    struct slot *s = b->spans[b->records[0].span].tag;
    int64_t offset = b->records[0].offset;
    struct error err;
    read_fault(w, b, p, &err);
    drop_rest(w, s);
    if (slot_owns(s)) {
        worker_letters_over_limit(w, s, p, offset, &err);
    }
    return false;
}
