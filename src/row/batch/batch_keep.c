/*
 * Records as they came, kept for the day when PostgreSQL refuses one of them: key, value, the
 * number of headers, and each header's name and value, every text with its length in front
 * (UINT32_MAX: it is absent). One worker thread; no I/O.
 */
#include "row/batch/batch.h"

#include <assert.h>
#include <string.h>

static void keep_str(struct buf *out, struct str s)
{
    buf_add_u32(out, s.p != NULL ? (uint32_t) s.n : UINT32_MAX);
    if (s.p != NULL && s.n > 0) {
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

size_t batch_kept_bytes(const struct batch *b, size_t record)
{
    const uint8_t *begin = b->raw.p + b->records[record].raw;
    const uint8_t *at = begin;

    kept_str(&at); /* key */
    kept_str(&at); /* value */
    for (uint32_t n = 2 * kept_u32(&at); n > 0; n--) {
        kept_str(&at);
    }
    return (size_t) (at - begin);
}

bool batch_has_kept(const struct batch *b, size_t record)
{
    return b->records[record].raw != BATCH_NOT_KEPT;
}

void batch_keep_again(struct batch *b, const struct batch *from, size_t record)
{
    assert(b->in_record);
    if (batch_has_kept(from, record)) {
        b->records[b->record_count].raw = b->raw.n;
        buf_add(&b->raw, from->raw.p + from->records[record].raw, batch_kept_bytes(from, record));
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
