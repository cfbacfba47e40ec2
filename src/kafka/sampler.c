/*
 * See sampler.h. The log is read backwards, in rounds: of each partition the last record, then as
 * many before it as are still missing, until no partition can hold a newer record than those that
 * are there. So the newest come first, whatever bound ends the reading, and the first round says
 * how large records are.
 *
 *     partition 0   . . . . . [ round 3 ][ round 2 ][1]
 *     partition 1   . . . . . . . . . . .[ round 2 ][1]   older than all that are wanted: done
 */
#include "kafka/sampler.h"

#include "base/mem.h"
#include "kafka/fetched.h"
#include "kafka/lookup.h"
#include "kafka/reader.h"

#include <stdlib.h>
#include <string.h>

/* A partition without a leader must not use up the time in which the others could be read. */
#define ENDS_TIMEOUT (3 * USEC_PER_SEC)

/* A record as long as nothing is known of the topic's. */
#define RECORD_BYTES_GUESS 1024

/* What is prefetched beyond the end of a round is read in vain. */
static const struct reader_property MODEST[] = {
    {"fetch.message.max.bytes", "1048576"},
    {"fetch.wait.max.ms", "10"},
};

struct part {
    int64_t begin;    /* of the log */
    int64_t from;     /* what lies at this offset and above has been read */
    int64_t next;     /* in this round: the offset that is read next, */
    int64_t until;    /*   and where the round ends */
    int64_t step;     /* how many offsets the last round has covered */
    int64_t first_ms; /* the timestamp of the first record that is here, if there is any */
    int64_t later;    /* the first record that was met beyond a round; -1: none */
    bool has_any;
    bool is_silent; /* not to be asked again */
};

struct read {
    const char *topic;
    const struct sample_bounds *bounds;
    usec_t deadline;
    struct part *parts;
    int32_t part_count;
    size_t open; /* partitions that this round still waits for */
    struct message *found;
    size_t count;
    size_t cap;
    size_t bytes;
    struct sample *out;
};

struct sampler {
    struct client *client;
    struct reader reader;
};

struct sampler *sampler_new(struct client *c, const struct config *cfg, struct error *err)
{
    struct sampler *s = mem_zalloc(sizeof *s);

    s->client = c;
    if (!reader_open(&s->reader, cfg, MODEST, ARRAY_LEN(MODEST), err)) {
        free(s);
        return NULL;
    }
    return s;
}

struct sampler *sampler_free(struct sampler *s)
{
    if (s != NULL) {
        reader_close(&s->reader);
        free(s);
    }
    return NULL;
}

void sample_done(struct sample *sample)
{
    free(sample->records);
    arena_done(&sample->memory);
    *sample = (struct sample){0};
}

/* ---- where partitions begin and end ---- */

static bool find_ends(struct sampler *s, struct read *r, struct error *err)
{
    size_t n = (size_t) r->part_count;
    int32_t first = r->bounds->is_one ? r->bounds->partition : 0;
    struct partition_ref *begins = mem_array(n, sizeof *begins);
    struct partition_ref *ends = mem_array(n, sizeof *ends);

    n = r->bounds->is_one ? 1 : n;
    for (size_t i = 0; i < n; i++) {
        begins[i] = ends[i] = (struct partition_ref){.topic = r->topic,
                                                     .partition = first + (int32_t) i};
    }
    usec_t limit = MIN(ENDS_TIMEOUT, r->bounds->timeout);
    bool ok = lookup_offsets(s->client, ends, n, LOOKUP_LATEST, limit, err) &&
              lookup_offsets(s->client, begins, n, LOOKUP_EARLIEST, limit, err);
    for (size_t i = 0; ok && i < n; i++) {
        bool known = begins[i].offset != LOOKUP_FAILED && ends[i].offset != LOOKUP_FAILED;
        struct part *p = &r->parts[begins[i].partition];
        p->is_silent = !known;
        p->begin = known ? begins[i].offset : 0;
        p->from = known ? ends[i].offset : 0;
    }
    free(begins);
    free(ends);
    return ok;
}

/* ---- one record ---- */

static void copy_headers(struct arena *memory, const rd_kafka_message_t *rkm, struct message *m)
{
    rd_kafka_headers_t *list;

    if (rd_kafka_message_headers(rkm, &list) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    size_t n = rd_kafka_header_cnt(list);
    struct message_header *headers = arena_alloc(memory, n * sizeof *headers);
    for (size_t i = 0; i < n; i++) {
        const char *name;
        const void *value;
        size_t size;
        if (rd_kafka_header_get_all(list, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            n = i;
            break;
        }
        headers[i].name = arena_copy(memory, str_of(name));
        headers[i].value = arena_copy(memory, fetched_bytes(value, size));
    }
    m->headers = headers;
    m->header_count = n;
}

static size_t bytes_of(const struct message *m)
{
    size_t bytes = m->key.n + m->value.n;

    for (size_t i = 0; i < m->header_count; i++) {
        bytes += m->headers[i].name.n + m->headers[i].value.n;
    }
    return bytes;
}

static void keep(struct read *r, const rd_kafka_message_t *rkm)
{
    struct message m;
    struct arena *memory = &r->out->memory;

    fetched_message(rkm, &m);
    m.topic = str_of(r->topic);
    m.key = arena_copy(memory, m.key);
    m.value = arena_copy(memory, m.value);
    copy_headers(memory, rkm, &m);
    r->found = mem_grow(r->found, &r->cap, r->count, sizeof *r->found);
    r->found[r->count++] = m;
    r->bytes += bytes_of(&m);
}

/* ---- one round ---- */

static bool is_full(const struct read *r)
{
    return r->bytes >= r->bounds->bytes;
}

static void pass(struct read *r, struct part *p, int64_t next)
{
    p->next = next;
    if (p->next >= p->until) {
        r->open--;
    }
}

static bool is_open(const struct part *p)
{
    return p->next < p->until;
}

static struct part *open_part(struct read *r, const char *topic, int32_t number)
{
    if (number < 0 || number >= r->part_count || strcmp(topic, r->topic) != 0) {
        return NULL;
    }
    struct part *p = &r->parts[number];
    return is_open(p) ? p : NULL;
}

static void take_record(struct read *r, const rd_kafka_message_t *rkm)
{
    struct part *p = open_part(r, rd_kafka_topic_name(rkm->rkt), rkm->partition);

    if (p == NULL || rkm->offset < p->next) {
        return;
    }
    if (rkm->offset < p->until) {
        keep(r, rkm);
    } else {
        p->later = rkm->offset;
    }
    pass(r, p, rkm->offset + 1);
}

/* What the library repeats by itself is no fault of the partition. */
static bool is_lasting(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR__BAD_MSG ||
           code == RD_KAFKA_RESP_ERR__BAD_COMPRESSION ||
           code == RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED || fetched_is_unknown(code);
}

static void take_fault(struct read *r, struct part *p, rd_kafka_event_t *ev, int32_t number)
{
    struct error *err = &r->out->fault;

    p->is_silent = true;
    pass(r, p, p->until);
    error_set(err, ERROR_SETUP, "%s-%d: %.250s", r->topic, number, rd_kafka_event_error_string(ev));
    if (rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
        error_hint(err, "Grant READ on the topic to pgsinkd's user of the cluster.");
    }
}

static void take_error(struct read *r, rd_kafka_event_t *ev)
{
    rd_kafka_topic_partition_t *tp = rd_kafka_event_topic_partition(ev);

    if (tp == NULL) {
        return;
    }
    struct part *p = open_part(r, tp->topic, tp->partition);
    if (p != NULL && rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        pass(r, p, MAX(tp->offset, p->next));
        if (is_open(p)) { /* the log ends before the end that was asked for */
            pass(r, p, p->until);
        }
    } else if (p != NULL && is_lasting(rd_kafka_event_error(ev))) {
        take_fault(r, p, ev, tp->partition);
    }
    rd_kafka_topic_partition_destroy(tp);
}

static void take_event(struct read *r, rd_kafka_event_t *ev)
{
    if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_FETCH) {
        const rd_kafka_message_t *rkm = rd_kafka_event_message_next(ev);
        if (rkm != NULL && rkm->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            take_record(r, rkm);
        }
    } else if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_ERROR) {
        take_error(r, ev);
    }
}

/* Time, or the bound of bytes, may end the round: what is missing then is silent. */
static bool read_round(struct sampler *s, struct read *r,
                       const rd_kafka_topic_partition_list_t *list, struct error *err)
{
    r->open = (size_t) list->cnt;
    if (!reader_assign(&s->reader, list, err)) {
        return false;
    }
    for (usec_t now = clock_mono(); r->open > 0 && !is_full(r) && now < r->deadline;
         now = clock_mono()) {
        rd_kafka_event_t *ev = rd_kafka_queue_poll(s->reader.queue,
                                                   clock_poll_ms(now, r->deadline));
        if (ev != NULL) {
            take_event(r, ev);
            rd_kafka_event_destroy(ev);
        }
    }
    reader_unassign(&s->reader);
    return true;
}

/* ---- which rounds ---- */

/* The newest first; of the same time, the one with the higher offset. */
static int by_age(const void *a, const void *b)
{
    const struct message *x = a;
    const struct message *y = b;

    if (x->timestamp_ms != y->timestamp_ms) {
        return x->timestamp_ms > y->timestamp_ms ? -1 : 1;
    }
    return x->offset > y->offset ? -1 : x->offset < y->offset;
}

/* Of one partition: the last of the log first, whatever its timestamp. */
static int by_offset(const void *a, const void *b)
{
    const struct message *x = a;
    const struct message *y = b;

    return x->offset > y->offset ? -1 : x->offset < y->offset;
}

static int by_place(const void *a, const void *b)
{
    const struct message *x = a;
    const struct message *y = b;

    if (x->partition != y->partition) {
        return x->partition < y->partition ? -1 : 1;
    }
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void sort(struct message *records, size_t n, int (*compare)(const void *, const void *))
{
    if (n > 1) {
        qsort(records, n, sizeof *records, compare);
    }
}

/* What each partition has; and of all, the oldest of those that are wanted. */
static int64_t review(struct read *r)
{
    sort(r->found, r->count, r->bounds->is_one ? by_offset : by_age);
    for (size_t i = 0; i < r->count; i++) {
        struct part *p = &r->parts[r->found[i].partition];
        p->first_ms = r->found[i].timestamp_ms;
        p->has_any = true;
    }
    bool all_wanted = r->count == 0 || r->count < r->bounds->records;
    if (!all_wanted && r->bounds->is_one) {
        return INT64_MAX;
    }
    return all_wanted ? INT64_MIN : r->found[r->bounds->records - 1].timestamp_ms;
}

/* Can it hold a newer record than those that are here? */
static bool wants_more(const struct part *p, int64_t oldest_ms)
{
    return !p->is_silent && p->from > p->begin && (!p->has_any || p->first_ms > oldest_ms);
}

/* How many offsets of each of n partitions are read next: what is missing, twice as many as in the
 * round before, and not more than there is room for. */
static int64_t step_of(const struct read *r, const struct part *p, size_t n)
{
    size_t missing = r->bounds->records - MIN(r->count, r->bounds->records);
    size_t size = r->count > 0 ? r->bytes / r->count + 1 : RECORD_BYTES_GUESS;
    size_t room = (r->bounds->bytes - r->bytes) / size / n;
    int64_t step = p->step == 0 ? 1 : MAX(2 * p->step, (int64_t) (missing / n + 1));

    return MAX(1, MIN(step, (int64_t) room));
}

static rd_kafka_topic_partition_list_t *next_round(struct read *r)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(r->part_count);
    int64_t oldest_ms = review(r);
    size_t n = 0;

    for (int32_t i = 0; i < r->part_count; i++) {
        n += wants_more(&r->parts[i], oldest_ms);
    }
    for (int32_t i = 0; i < r->part_count; i++) {
        struct part *p = &r->parts[i];
        p->next = p->until = p->from;
        if (!wants_more(p, oldest_ms)) {
            continue;
        }
        p->step = step_of(r, p, n);
        p->from = p->next = MAX(p->begin, p->until - p->step);
        rd_kafka_topic_partition_list_add(list, r->topic, i)->offset = p->next;
    }
    return list;
}

static bool read_rounds(struct sampler *s, struct read *r, struct error *err)
{
    bool ok = true;
    bool more = true;

    while (ok && more && !is_full(r) && clock_mono() < r->deadline) {
        rd_kafka_topic_partition_list_t *list = next_round(r);
        more = list->cnt > 0;
        ok = !more || read_round(s, r, list, err);
        rd_kafka_topic_partition_list_destroy(list);
    }
    return ok;
}

/* The newest of what was found, in the order of the logs. */
static void finish(struct read *r)
{
    struct sample *out = r->out;
    int64_t oldest_ms = review(r);

    for (int32_t i = 0; i < r->part_count; i++) {
        bool wants = wants_more(&r->parts[i], oldest_ms) || is_open(&r->parts[i]);
        out->is_cut |= wants && is_full(r);
        out->silent += r->parts[i].is_silent || (wants && !is_full(r));
    }
    out->count = MIN(r->count, r->bounds->records);
    out->records = TAKE_PTR(r->found);
    sort(out->records, out->count, by_place);
}

bool sampler_read(struct sampler *s, const char *topic, int32_t partition_count,
                  const struct sample_bounds *bounds, struct sample *out, struct error *err)
{
    struct read r = {
        .topic = topic,
        .bounds = bounds,
        .deadline = clock_mono() + bounds->timeout,
        .parts = mem_array((size_t) partition_count, sizeof(struct part)),
        .part_count = partition_count,
        .out = out,
    };

    *out = (struct sample){0};
    bool ok = find_ends(s, &r, err) && read_rounds(s, &r, err);
    if (ok) {
        finish(&r);
    } else {
        free(r.found);
        sample_done(out);
    }
    free(r.parts);
    return ok;
}

/* ---- a single record ---- */

static bool not_there(const struct read *r, int32_t partition, int64_t offset, int64_t end,
                      struct error *err)
{
    const struct part *p = &r->parts[partition];

    if (p->begin == end) {
        return error_set(err, ERROR_RECORD, "%s-%d has no records, its next offset is %lld",
                         r->topic, partition, (long long) end);
    }
    if (offset == LOOKUP_EARLIEST) {
        return error_set(err, ERROR_RECORD, "%s-%d has no records at its offsets %lld to %lld",
                         r->topic, partition, (long long) p->begin, (long long) end - 1);
    }
    if (offset < p->begin || offset >= end) {
        return error_set(err, ERROR_RECORD,
                         "%s-%d@%lld is %s the partition, which has offsets %lld to %lld", r->topic,
                         partition, (long long) offset, offset < p->begin ? "before" : "after",
                         (long long) p->begin, (long long) end - 1);
    }
    error_set(err, ERROR_RECORD,
              "%s-%d@%lld holds no record: it was compacted away, or aborted, or is the mark of a "
              "transaction; the partition has offsets %lld to %lld",
              r->topic, partition, (long long) offset, (long long) p->begin, (long long) end - 1);
    return p->later >= 0 && error_hint(err, "The next record is at %lld.", (long long) p->later);
}

static bool unreadable(const struct read *r, int32_t partition, struct error *err)
{
    if (r->out->fault.class != ERROR_NONE) {
        *err = r->out->fault;
        return false;
    }
    return error_set(err, ERROR_LINK, "%s-%d: there is no answer within %llu s", r->topic,
                     partition, (unsigned long long) (r->bounds->timeout / USEC_PER_SEC));
}

/* One round, which the first record ends. */
static bool read_first(struct sampler *s, struct read *r, int32_t partition, int64_t offset,
                       struct error *err)
{
    struct part *p = &r->parts[partition];
    int64_t end = p->from;
    bool is_inside = offset == LOOKUP_EARLIEST || (offset >= p->begin && offset < end);

    if (p->is_silent) {
        return unreadable(r, partition, err);
    }
    p->later = -1;
    p->next = offset == LOOKUP_EARLIEST ? p->begin : offset;
    p->until = offset == LOOKUP_EARLIEST ? end : offset + 1;
    if (p->begin == end || !is_inside) {
        return not_there(r, partition, offset, end, err);
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, r->topic, partition)->offset = p->next;
    bool ok = read_round(s, r, list, err);
    rd_kafka_topic_partition_list_destroy(list);
    if (!ok || r->count > 0) {
        return ok;
    }
    return p->is_silent || is_open(p) ? unreadable(r, partition, err)
                                      : not_there(r, partition, offset, end, err);
}

bool sampler_read_one(struct sampler *s, const char *topic, int32_t partition, int64_t offset,
                      usec_t timeout, struct sample *out, struct error *err)
{
    /* the first byte is one too many */
    const struct sample_bounds bounds = {
        .records = 1, .bytes = 1, .timeout = timeout, .is_one = true, .partition = partition};
    struct read r = {
        .topic = topic,
        .bounds = &bounds,
        .deadline = clock_mono() + timeout,
        .parts = mem_array((size_t) partition + 1, sizeof(struct part)),
        .part_count = partition + 1,
        .out = out,
    };

    *out = (struct sample){0};
    bool ok = find_ends(s, &r, err) && read_first(s, &r, partition, offset, err);
    if (ok) {
        sort(r.found, r.count, by_place);
        out->records = TAKE_PTR(r.found);
        out->count = 1;
    }
    free(r.found);
    if (!ok) {
        sample_done(out);
    }
    free(r.parts);
    return ok;
}
