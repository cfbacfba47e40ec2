/*
 * Filling, walking over and emptying a batch. The rows of a part lie in order of arrival, so the
 * rows of the open record are its tail, and taking them back is a move. One worker thread; no I/O.
 */
#include "row/batch/batch.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Memory one part keeps when the batch is cleared: two default batches, then it goes back. */
#define KEEP_BYTES ((size_t) 32 << 20)
#define KEEP_ROWS ((size_t) 1 << 18)

#define NO_PART UINT32_MAX

struct batch *batch_new(void)
{
    struct batch *b = mem_zalloc(sizeof *b);

    b->open_part = NO_PART;
    return b;
}

struct batch *batch_free(struct batch *b)
{
    if (b == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < b->part_cap; i++) {
        buf_done(&b->parts[i].bytes);
        free(b->parts[i].rows);
    }
    free(b->parts);
    free(b->compared);
    free(b->records);
    free(b->taken);
    free(b->reserves);
    free(b->spans);
    buf_done(&b->raw);
    free(b);
    return NULL;
}

static void part_clear(struct batch_part *p, size_t *keep_bytes, size_t *keep_rows)
{
    buf_clear(&p->bytes);
    buf_shrink(&p->bytes, *keep_bytes);
    *keep_bytes -= p->bytes.cap;
    p->row_count = 0;
    if (p->row_cap > *keep_rows) {
        free(TAKE_PTR(p->rows));
        p->row_cap = 0;
    }
    *keep_rows -= p->row_cap;
}

void batch_clear(struct batch *b)
{
    size_t keep_bytes = KEEP_BYTES; /* of all parts together, used now or before */
    size_t keep_rows = KEEP_ROWS;

    assert(b->reserve_count == 0);
    for (size_t i = 0; i < b->part_cap; i++) {
        part_clear(&b->parts[i], &keep_bytes, &keep_rows);
    }
    if (b->record_cap > KEEP_ROWS) {
        free(TAKE_PTR(b->records));
        b->record_cap = 0;
    }
    if (b->taken_cap > KEEP_ROWS) {
        free(TAKE_PTR(b->taken));
        b->taken_cap = 0;
    }
    b->taken_count = 0;
    b->span_count = 0;
    b->record_count = 0;
    b->part_count = 0;
    b->compared_count = 0;
    b->was_counted = false;
    b->bytes = 0;
    b->next_seq = 0;
    buf_clear(&b->raw);
    buf_shrink(&b->raw, KEEP_BYTES / 4);
    b->in_record = false;
    b->open_part = NO_PART;
    b->last_span = 0;
    b->opened_usec = 0;
}

bool batch_is_empty(const struct batch *b)
{
    for (size_t i = 0; i < b->span_count; i++) {
        if (b->spans[i].next != b->spans[i].from) {
            return false;
        }
    }
    return true;
}

size_t batch_memory(const struct batch *b)
{
    return b->bytes + b->raw.n;
}

size_t batch_row_count(const struct batch *b)
{
    size_t rows = 0;

    for (size_t i = 0; i < b->part_count; i++) {
        rows += b->parts[i].row_count;
    }
    return rows;
}

void batch_compare(struct batch *b, const struct target *target)
{
    for (size_t i = 0; i < b->compared_count; i++) {
        if (b->compared[i] == target) {
            return;
        }
    }
    b->compared = mem_grow(b->compared, &b->compared_cap, b->compared_count,
                           sizeof(const struct target *));
    b->compared[b->compared_count++] = target;
}

void batch_compare_as(struct batch *b, const struct batch *from)
{
    for (size_t i = 0; i < from->compared_count; i++) {
        batch_compare(b, from->compared[i]);
    }
}

/* The memory of a part that is taken out is kept, behind those in use. */
void batch_forget(struct batch *b, const struct target *target)
{
    for (size_t i = b->part_count; i-- > 0;) {
        struct batch_part gone = b->parts[i];
        if (gone.target == target) {
            assert(gone.row_count == 0 && !b->in_record);
            b->part_count--;
            memmove(&b->parts[i], &b->parts[i + 1], (b->part_count - i) * sizeof *b->parts);
            b->parts[b->part_count] = gone;
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < b->compared_count; i++) {
        if (b->compared[i] != target) {
            b->compared[kept++] = b->compared[i];
        }
    }
    b->compared_count = kept;
}

struct span *batch_find(const struct batch *b, const void *tag)
{
    for (size_t i = 0; i < b->span_count; i++) {
        if (b->spans[i].tag == tag) {
            return &b->spans[i];
        }
    }
    return NULL;
}

static struct span *span_add(struct batch *b)
{
    b->spans = mem_grow(b->spans, &b->span_cap, b->span_count, sizeof *b->spans);
    return &b->spans[b->span_count++];
}

uint32_t batch_span(struct batch *b, void *tag, const char *topic, int32_t partition,
                    int64_t owner_epoch, int64_t from)
{
    /* Records of one partition come in runs. */
    if (b->last_span < b->span_count && b->spans[b->last_span].tag == tag) {
        return b->last_span;
    }
    struct span *s = batch_find(b, tag);
    if (s == NULL) {
        s = span_add(b);
        *s = (struct span){
            .topic = topic,
            .partition = partition,
            .leader_epoch = -1,
            .owner_epoch = owner_epoch,
            .from = from,
            .next = from,
            .last_timestamp_ms = -1,
            .end_offset = -1,
            .fp = {.offset = FINGERPRINT_NONE},
            .tag = tag,
        };
    }
    b->last_span = (uint32_t) (s - b->spans);
    return b->last_span;
}

void batch_span_mark(struct batch *b, uint32_t span, struct fingerprint fp)
{
    assert(span < b->span_count);
    assert(fp.offset >= b->spans[span].from && fp.offset < b->spans[span].next);
    b->spans[span].fp = fp;
}

void batch_span_skip(struct batch *b, uint32_t span, int64_t next)
{
    assert(span < b->span_count);
    struct span *s = &b->spans[span];
    if (next > s->next) {
        s->next = next;
    }
}

void batch_record_begin(struct batch *b, uint32_t span, int64_t offset, int64_t timestamp_ms,
                        int32_t leader_epoch)
{
    assert(!b->in_record);
    assert(span < b->span_count);
    assert(offset >= b->spans[span].next); /* I4 */
    b->records = mem_grow(b->records, &b->record_cap, b->record_count, sizeof *b->records);
    b->records[b->record_count] = (struct batch_record){
        .span = span,
        .offset = offset,
        .timestamp_ms = timestamp_ms,
        .leader_epoch = leader_epoch,
        .raw = BATCH_NOT_KEPT,
    };
    b->in_record = true;
}

static uint32_t part_add(struct batch *b, const struct target *target, enum row_action action,
                         omit_mask omit)
{
    size_t cap = b->part_cap;

    b->parts = mem_grow(b->parts, &b->part_cap, b->part_count, sizeof *b->parts);
    if (b->part_cap > cap) {
        memset(b->parts + cap, 0, (b->part_cap - cap) * sizeof *b->parts);
    }
    /* A place used before brings its memory along. */
    struct batch_part *p = &b->parts[b->part_count];
    p->target = target;
    p->action = action;
    p->omit = omit;
    return (uint32_t) b->part_count++;
}

uint32_t batch_part(struct batch *b, const struct target *target, enum row_action action,
                    omit_mask omit)
{
    for (size_t i = b->part_count; i-- > 0;) {
        const struct batch_part *p = &b->parts[i];
        if (p->target == target && p->omit == omit && p->action == action) {
            return (uint32_t) i;
        }
    }
    return part_add(b, target, action, omit);
}

struct buf *batch_row_begin(struct batch *b, uint32_t part)
{
    assert(b->in_record && part < b->part_count);
    struct batch_part *p = &b->parts[part];
    p->rows = mem_grow(p->rows, &p->row_cap, p->row_count, sizeof *p->rows);
    p->rows[p->row_count] = (struct batch_row){
        .record = (uint32_t) b->record_count,
        .seq = b->next_seq++,
        .begin = p->bytes.n,
    };
    b->open_part = part;
    return &p->bytes;
}

void batch_row_end(struct batch *b, uint32_t part)
{
    assert(b->open_part == part);
    struct batch_part *p = &b->parts[part];
    b->bytes += p->bytes.n - p->rows[p->row_count].begin;
    p->row_count++;
    b->open_part = NO_PART;
}

void batch_record_end(struct batch *b)
{
    assert(b->in_record && b->open_part == NO_PART);
    const struct batch_record *r = &b->records[b->record_count++];
    struct span *s = &b->spans[r->span];
    s->next = r->offset + 1;
    s->last_timestamp_ms = r->timestamp_ms;
    s->leader_epoch = r->leader_epoch;
    b->in_record = false;
}

uint32_t batch_mark(const struct batch *b)
{
    return b->next_seq;
}

void batch_undo(struct batch *b, uint32_t mark)
{
    assert(b->in_record);
    if (b->open_part != NO_PART) {
        struct batch_part *p = &b->parts[b->open_part];
        p->bytes.n = p->rows[p->row_count].begin;
        b->open_part = NO_PART;
    }
    for (size_t i = 0; i < b->part_count; i++) {
        struct batch_part *p = &b->parts[i];
        while (p->row_count > 0 && p->rows[p->row_count - 1].seq >= mark &&
               p->rows[p->row_count - 1].record == b->record_count) {
            p->row_count--;
            b->bytes -= p->bytes.n - p->rows[p->row_count].begin;
            p->bytes.n = p->rows[p->row_count].begin;
        }
    }
}

void batch_record_abort(struct batch *b)
{
    batch_undo(b, 0);
    while (b->taken_count > 0 && b->taken[b->taken_count - 1].record == b->record_count) {
        b->taken_count--;
    }
    if (b->records[b->record_count].raw != BATCH_NOT_KEPT) {
        b->raw.n = b->records[b->record_count].raw;
    }
    b->in_record = false;
}

void batch_take(struct batch *b, uint32_t route, bool is_letter)
{
    assert(b->in_record);
    b->taken = mem_grow(b->taken, &b->taken_cap, b->taken_count, sizeof *b->taken);
    b->taken[b->taken_count++] = (struct batch_taken){
        .record = (uint32_t) b->record_count,
        .route = route & INT32_MAX,
        .letter = is_letter,
    };
}

void batch_reserve(struct batch *b, uint32_t route, int64_t amount)
{
    b->reserves = mem_grow(b->reserves, &b->reserve_cap, b->reserve_count, sizeof *b->reserves);
    b->reserves[b->reserve_count++] = (struct batch_reserve){.route = route, .amount = amount};
}

/* ---- walking ---- */

struct str batch_tuple(const struct batch_part *p, size_t row)
{
    size_t end = row + 1 < p->row_count ? p->rows[row + 1].begin : p->bytes.n;
    size_t begin = p->rows[row].begin;

    return (struct str){.p = (const char *) p->bytes.p + begin, .n = end - begin};
}

void batch_walk_begin(struct batch_walk *w, const struct batch *b)
{
    *w = (struct batch_walk){.b = b, .at = mem_array(MAX(b->part_count, 1), sizeof *w->at)};
}

bool batch_walk_next(struct batch_walk *w, size_t *out_part, size_t *out_row)
{
    const struct batch_part *parts = w->b->parts;
    size_t next = SIZE_MAX;

    for (size_t i = 0; i < w->b->part_count; i++) {
        bool left = w->at[i] < parts[i].row_count;
        if (left &&
            (next == SIZE_MAX || parts[i].rows[w->at[i]].seq < parts[next].rows[w->at[next]].seq)) {
            next = i;
        }
    }
    if (next == SIZE_MAX) {
        return false;
    }
    *out_part = next;
    *out_row = w->at[next]++;
    return true;
}

void batch_walk_done(struct batch_walk *w)
{
    free(TAKE_PTR(w->at));
}

static int span_cmp(const void *x, const void *y, void *arg)
{
    const struct batch *b = arg;
    const struct span *s = &b->spans[*(const uint32_t *) x];
    const struct span *t = &b->spans[*(const uint32_t *) y];
    int topic = strcmp(s->topic, t->topic);

    if (topic != 0) {
        return topic;
    }
    return (s->partition > t->partition) - (s->partition < t->partition);
}

void batch_span_order(const struct batch *b, uint32_t *order)
{
    for (uint32_t i = 0; i < b->span_count; i++) {
        order[i] = i;
    }
    if (b->span_count > 1) {
        qsort_r(order, b->span_count, sizeof *order, span_cmp, (void *) (uintptr_t) b);
    }
}
