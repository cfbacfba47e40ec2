/*
 * Taking records out of a batch: the first n, to be sent alone, or all of one partition. The rows
 * of a part lie in order of arrival, so the rows of the first n records are a prefix of every part:
 * cutting is a search and a move. One worker thread; no I/O.
 */
#include "row/batch/batch.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

/* ---- cutting ---- */

/* The number of rows of p that come from the first `count` records. */
static size_t rows_before(const struct batch_part *p, size_t count)
{
    size_t lo = 0;
    size_t hi = p->row_count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (p->rows[mid].record < count) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* Copies the first n rows of p, which end at byte `end`, into a part of head. */
static void part_copy_front(const struct batch_part *p, size_t n, size_t end, struct batch *head)
{
    uint32_t part = batch_part(head, p->target, p->action, p->omit); /* moves head->parts */
    struct batch_part *to = &head->parts[part];

    if (to->row_cap < n) {
        to->rows = mem_realloc(to->rows, n, sizeof *to->rows);
        to->row_cap = n;
    }
    memcpy(to->rows, p->rows, n * sizeof *p->rows);
    to->row_count = n;
    buf_add(&to->bytes, p->bytes.p, end);
    head->bytes += end;
}

static void part_remove_front(struct batch_part *p, size_t n, size_t end, size_t records)
{
    if (end > 0) {
        memmove(p->bytes.p, p->bytes.p + end, p->bytes.n - end);
        p->bytes.n -= end;
    }
    p->row_count -= n;
    for (size_t i = 0; i < p->row_count; i++) {
        p->rows[i] = (struct batch_row){
            .record = p->rows[i + n].record - (uint32_t) records,
            .seq = p->rows[i + n].seq,
            .begin = p->rows[i + n].begin - end,
        };
    }
}

static void split_parts(struct batch *b, size_t count, struct batch *head)
{
    for (size_t i = 0; i < b->part_count; i++) {
        struct batch_part *p = &b->parts[i];
        size_t n = rows_before(p, count);
        if (n == 0) {
            part_remove_front(p, 0, 0, count);
            continue;
        }
        size_t end = n < p->row_count ? p->rows[n].begin : p->bytes.n;
        part_copy_front(p, n, end, head);
        part_remove_front(p, n, end, count);
        b->bytes -= end;
    }
}

static void split_taken(struct batch *b, size_t count, struct batch *head)
{
    size_t n = 0;

    for (; n < b->taken_count && b->taken[n].record < count; n++) {
        head->taken = mem_grow(head->taken, &head->taken_cap, n, sizeof *head->taken);
        head->taken[n] = b->taken[n];
    }
    head->taken_count = n;
    b->taken_count -= n;
    for (size_t i = 0; i < b->taken_count; i++) {
        b->taken[i] = b->taken[i + n];
        b->taken[i].record -= (uint32_t) count;
    }
}

/* Moves the record to head: its span there ends after it, and the span in b starts there. */
static void split_record(struct batch *b, const struct batch_record *r, struct batch *head)
{
    struct span *s = &b->spans[r->span];
    uint32_t to = batch_span(head, s->tag, s->topic, s->partition, s->owner_epoch, s->from);

    head->spans[to].end_offset = s->end_offset;
    head->spans[to].fp = s->fp;
    batch_record_begin(head, to, r->offset, r->timestamp_ms, r->leader_epoch);
    head->records[head->record_count].raw = r->raw;
    batch_record_end(head);
}

/* Where the raw bytes of the records from `record` on begin. */
static size_t raw_begin(const struct batch *b, size_t record)
{
    while (record < b->record_count && !batch_has_kept(b, record)) {
        record++;
    }
    return record < b->record_count ? b->records[record].raw : b->raw.n;
}

/* The head takes the front of the raw bytes, whose places stay the same. */
static void split_raw(struct batch *b, size_t count, struct batch *head)
{
    size_t begin = raw_begin(b, count);

    if (begin > 0) {
        buf_add(&head->raw, b->raw.p, begin);
        memmove(b->raw.p, b->raw.p + begin, b->raw.n - begin);
        b->raw.n -= begin;
    }
    for (size_t i = count; i < b->record_count; i++) {
        b->records[i].raw -= batch_has_kept(b, i) ? begin : 0;
    }
    head->next_seq = b->next_seq;
}

/* Takes the spans marked with span_count out of b; to[i] becomes the new index of span i. */
static void spans_renumber(struct batch *b, uint32_t *to)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < b->span_count; i++) {
        if (to[i] != UINT32_MAX) {
            b->spans[kept] = b->spans[i];
            to[i] = kept++;
        }
    }
    b->span_count = kept;
    b->last_span = 0;
}

static void split_spans(struct batch *b, const struct batch *head, uint32_t *to)
{
    for (size_t i = 0; i < b->span_count; i++) {
        struct span *s = &b->spans[i];
        struct span *h = batch_find(head, s->tag);
        to[i] = 0;
        if (h != NULL) {
            struct span *without = s->fp.offset >= h->next ? h : s;
            without->fp.offset = FINGERPRINT_NONE;
            s->from = h->next;
            to[i] = s->from == s->next ? UINT32_MAX : 0;
        }
    }
    spans_renumber(b, to);
}

/*
 * What is left of a span in b may hold no record any more, only skipped offsets: then there is no
 * last record whose time and epoch it could name.
 */
static void spans_forget_last(struct batch *b)
{
    for (size_t i = 0; i < b->span_count; i++) {
        b->spans[i].last_timestamp_ms = -1;
        b->spans[i].leader_epoch = -1;
    }
    for (size_t i = 0; i < b->record_count; i++) {
        struct span *s = &b->spans[b->records[i].span];
        s->last_timestamp_ms = b->records[i].timestamp_ms;
        s->leader_epoch = b->records[i].leader_epoch;
    }
}

void batch_split(struct batch *b, size_t count, struct batch *head)
{
    assert(!b->in_record && count <= b->record_count);
    assert(b->reserve_count == 0);
    assert(head->span_count == 0 && head->record_count == 0 && head->part_count == 0);
    head->opened_usec = b->opened_usec;
    for (size_t i = 0; i < count; i++) {
        split_record(b, &b->records[i], head);
    }
    split_parts(b, count, head);
    split_taken(b, count, head);
    split_raw(b, count, head);

    _cleanup_mem_ uint32_t *to = mem_array(MAX(b->span_count, 1), sizeof *to);
    split_spans(b, head, to);
    b->record_count -= count;
    if (count > 0) {
        memmove(b->records, b->records + count, b->record_count * sizeof *b->records);
    }
    for (size_t i = 0; i < b->record_count; i++) {
        b->records[i].span = to[b->records[i].span];
    }
    spans_forget_last(b);
}

/* ---- dropping one partition ---- */

/* Removes the rows whose record is gone (to[record] == UINT32_MAX), renumbers the others. */
static void part_drop(struct batch_part *p, const uint32_t *to)
{
    size_t kept = 0;
    size_t at = 0;

    for (size_t i = 0; i < p->row_count; i++) {
        size_t begin = p->rows[i].begin;
        size_t end = i + 1 < p->row_count ? p->rows[i + 1].begin : p->bytes.n;
        uint32_t record = to[p->rows[i].record];
        if (record == UINT32_MAX) {
            continue;
        }
        memmove(p->bytes.p + at, p->bytes.p + begin, end - begin);
        p->rows[kept++] = (struct batch_row){.record = record, .seq = p->rows[i].seq, .begin = at};
        at += end - begin;
    }
    p->row_count = kept;
    p->bytes.n = at;
}

static void taken_drop(struct batch *b, const uint32_t *to)
{
    size_t kept = 0;

    for (size_t i = 0; i < b->taken_count; i++) {
        if (to[b->taken[i].record] != UINT32_MAX) {
            b->taken[kept] = b->taken[i];
            b->taken[kept++].record = to[b->taken[i].record];
        }
    }
    b->taken_count = kept;
}

/* Closes the holes that dropped records leave in the raw bytes; the others move down in order. */
static void compact_raw(struct batch *b)
{
    size_t end = 0;

    for (size_t i = 0; i < b->record_count; i++) {
        if (batch_has_kept(b, i)) {
            size_t n = batch_kept_bytes(b, i);
            memmove(b->raw.p + end, b->raw.p + b->records[i].raw, n);
            b->records[i].raw = end;
            end += n;
        }
    }
    b->raw.n = end;
}

static void drop_records(struct batch *b, uint32_t span)
{
    _cleanup_mem_ uint32_t *to = mem_array(MAX(b->record_count, 1), sizeof *to);
    uint32_t kept = 0;

    for (size_t i = 0; i < b->record_count; i++) {
        struct batch_record *r = &b->records[i];
        to[i] = UINT32_MAX;
        if (r->span != span) {
            to[i] = kept;
            b->records[kept] = *r;
            b->records[kept++].span -= r->span > span ? 1 : 0;
        }
    }
    b->record_count = kept;
    taken_drop(b, to);
    compact_raw(b);
    b->bytes = 0;
    for (size_t i = 0; i < b->part_count; i++) {
        part_drop(&b->parts[i], to);
        b->bytes += b->parts[i].bytes.n;
    }
}

bool batch_drop(struct batch *b, const void *tag)
{
    assert(!b->in_record);
    const struct span *s = batch_find(b, tag);
    if (s == NULL) {
        return false;
    }
    uint32_t span = (uint32_t) (s - b->spans);
    drop_records(b, span);
    b->span_count--;
    memmove(&b->spans[span], &b->spans[span + 1], (b->span_count - span) * sizeof *b->spans);
    b->last_span = 0;
    return true;
}
