/*
 * Filling, cutting and emptying a batch. Rows of a part lie in order of arrival, so "the rows of
 * the first n records" is a prefix of every part and "the rows of the open record" is its tail:
 * cutting and taking back are a search and a move. One worker thread; no I/O.
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
    if (!b) {
        return NULL;
    }
    for (size_t i = 0; i < b->part_cap; i++) {
        buf_done(&b->parts[i].bytes);
        free(b->parts[i].rows);
    }
    free(b->parts);
    free(b->records);
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
    for (size_t i = 0; i < b->part_cap; i++) {
        part_clear(&b->parts[i], &keep_bytes, &keep_rows);
    }
    if (b->record_cap > KEEP_ROWS) {
        free(TAKE_PTR(b->records));
        b->record_cap = 0;
    }
    b->span_count = 0;
    b->record_count = 0;
    b->part_count = 0;
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
    if (!s) {
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
                         uint64_t omit)
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
                    uint64_t omit)
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
    if (b->records[b->record_count].raw != BATCH_NOT_KEPT) {
        b->raw.n = b->records[b->record_count].raw;
    }
    b->in_record = false;
}

/* ---- records as they came ---- */

static void keep_str(struct buf *out, struct str s)
{
    buf_add_u32(out, s.p ? (uint32_t) s.n : UINT32_MAX);
    if (s.p && s.n > 0) {
        buf_add(out, s.p, s.n);
    }
}

static uint32_t kept_u32(const uint8_t **at)
{
    uint32_t v;
    memcpy(&v, *at, sizeof v);
    *at += sizeof v;
    return __builtin_bswap32(v);
}

static struct str kept_str(const uint8_t **at)
{
    uint32_t n = kept_u32(at);
    if (n == UINT32_MAX) {
        return (struct str){0};
    }
    struct str s = {.p = (const char *) *at, .n = n};
    *at += n;
    return s;
}

void batch_keep(struct batch *b, const struct message *msg)
{
    assert(b->in_record);
    b->records[b->record_count].raw = b->raw.n;
    keep_str(&b->raw, msg->key);
    keep_str(&b->raw, msg->value);
    buf_add_u32(&b->raw, (uint32_t) msg->header_count);
    for (size_t i = 0; i < msg->header_count; i++) {
        keep_str(&b->raw, msg->headers[i].name);
        keep_str(&b->raw, msg->headers[i].value);
    }
}

/* The length of a record as it came, which begins there. */
static size_t raw_length(const struct batch *b, size_t begin)
{
    const uint8_t *at = b->raw.p + begin;
    kept_str(&at); /* key */
    kept_str(&at); /* value */
    for (uint32_t n = 2 * kept_u32(&at); n > 0; n--) {
        kept_str(&at);
    }
    return (size_t) (at - b->raw.p) - begin;
}

bool batch_has_kept(const struct batch *b, size_t record)
{
    return b->records[record].raw != BATCH_NOT_KEPT;
}

void batch_keep_again(struct batch *b, const struct batch *from, size_t record)
{
    assert(b->in_record);
    if (batch_has_kept(from, record)) {
        size_t begin = from->records[record].raw;
        b->records[b->record_count].raw = b->raw.n;
        buf_add(&b->raw, from->raw.p + begin, raw_length(from, begin));
    }
}

size_t batch_kept_headers(const struct batch *b, size_t record)
{
    const uint8_t *at = b->raw.p + b->records[record].raw;
    kept_str(&at);
    kept_str(&at);
    return kept_u32(&at);
}

void batch_kept(const struct batch *b, size_t record, struct message *out,
                struct message_header *headers)
{
    assert(record < b->record_count && batch_has_kept(b, record));
    const struct batch_record *r = &b->records[record];
    const struct span *s = &b->spans[r->span];
    const uint8_t *at = b->raw.p + r->raw;
    *out = (struct message){
        .topic = str_of(s->topic),
        .partition = s->partition,
        .leader_epoch = r->leader_epoch,
        .offset = r->offset,
        .timestamp_ms = r->timestamp_ms,
    };
    out->key = kept_str(&at);
    out->value = kept_str(&at);
    out->header_count = kept_u32(&at);
    out->headers = headers;
    for (size_t i = 0; i < out->header_count; i++) {
        headers[i].name = kept_str(&at);
        headers[i].value = kept_str(&at);
    }
}

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
        if (h) {
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
    assert(head->span_count == 0 && head->record_count == 0 && head->part_count == 0);
    head->opened_usec = b->opened_usec;
    for (size_t i = 0; i < count; i++) {
        split_record(b, &b->records[i], head);
    }
    split_parts(b, count, head);
    split_raw(b, count, head);

    uint32_t *to _cleanup_mem_ = mem_array(MAX(b->span_count, 1), sizeof *to);
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

/* Closes the holes that dropped records leave in the raw bytes; the others move down in order. */
static void compact_raw(struct batch *b)
{
    size_t end = 0;
    for (size_t i = 0; i < b->record_count; i++) {
        if (batch_has_kept(b, i)) {
            size_t begin = b->records[i].raw;
            size_t n = raw_length(b, begin);
            memmove(b->raw.p + end, b->raw.p + begin, n);
            b->records[i].raw = end;
            end += n;
        }
    }
    b->raw.n = end;
}

static void drop_records(struct batch *b, uint32_t span)
{
    uint32_t *to _cleanup_mem_ = mem_array(MAX(b->record_count, 1), sizeof *to);
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
    if (!s) {
        return false;
    }
    uint32_t span = (uint32_t) (s - b->spans);
    drop_records(b, span);
    b->span_count--;
    memmove(&b->spans[span], &b->spans[span + 1], (b->span_count - span) * sizeof *b->spans);
    b->last_span = 0;
    return true;
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
