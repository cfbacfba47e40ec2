/* See traffic.h: places and counting. The interceptors are in traffic_taps.c. Any thread. */
#include "kafka/traffic.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Kafka's numbers of these requests. */
#define FETCH 1
#define JOIN_GROUP 11
#define SYNC_GROUP 14

static const uint64_t bounds[TRAFFIC_BOUNDS] = {
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000, 5000000,
};

typedef _Atomic uint64_t word;

struct place {
    _Atomic int64_t id; /* of the broker, plus 2; 0: the place is free */
    word sent_bytes;
    word received_bytes;
    word failed[TRAFFIC_FAILURES];
    word connects;
    word disconnects;
    word throttled_ms;
    struct {
        word counts[TRAFFIC_BOUNDS + 1];
        word sum_usec;
    } round_trip[TRAFFIC_REQUESTS];
};

#define UPS 128
/* Such a word has a time (2^48 us are 8 years after the boot) and above it bits of the address's
 * hash, by which it is known whose time it is: many addresses share the word. */
#define UP_TIME_BITS 48
#define UP_TIME ((UINT64_C(1) << UP_TIME_BITS) - 1)

struct traffic {
    struct place places[TRAFFIC_BROKERS + 1]; /* the last: TRAFFIC_REST */
    word ups[UPS];                            /* by a hash of the address */
};

struct traffic *traffic_new(void)
{
    return mem_zalloc(sizeof(struct traffic));
}

struct traffic *traffic_free(struct traffic *t)
{
    free(t);
    return NULL;
}

static void add(word *w, uint64_t n)
{
    atomic_fetch_add_explicit(w, n, memory_order_relaxed);
}

static uint64_t get(const word *w)
{
    return atomic_load_explicit(w, memory_order_relaxed);
}

/* Places are taken in order and never given back. */
static struct place *place_of(struct traffic *t, int32_t broker)
{
    int64_t id = (int64_t) MAX(broker, TRAFFIC_BOOTSTRAP) + 2;

    for (size_t i = 0; i < TRAFFIC_BROKERS; i++) {
        int64_t there = atomic_load_explicit(&t->places[i].id, memory_order_relaxed);
        /* A free one is taken by whoever is first; `there` is what it has become otherwise. */
        if (there == id ||
            (there == 0 &&
             (atomic_compare_exchange_strong(&t->places[i].id, &there, id) || there == id))) {
            return &t->places[i];
        }
    }
    return &t->places[TRAFFIC_BROKERS];
}

void traffic_up(struct traffic *t, const char *address, usec_t now)
{
    uint64_t hash = str_hash(str_of(address));

    atomic_store_explicit(&t->ups[hash % UPS], (hash & ~UP_TIME) | (now & UP_TIME),
                          memory_order_relaxed);
}

usec_t traffic_up_at(const struct traffic *t, const char *address)
{
    uint64_t hash = str_hash(str_of(address));
    uint64_t up = get(&t->ups[hash % UPS]);

    return ((up ^ hash) & ~UP_TIME) == 0 ? up & UP_TIME : 0;
}

void traffic_sent(struct traffic *t, int32_t broker, size_t bytes)
{
    add(&place_of(t, broker)->sent_bytes, bytes);
}

void traffic_received(struct traffic *t, int32_t broker, int16_t key, size_t bytes, int64_t usec)
{
    struct place *p = place_of(t, broker);
    enum traffic_request request = key == FETCH ? TRAFFIC_FETCH : TRAFFIC_OTHER;
    size_t i = 0;

    add(&p->received_bytes, bytes);
    if (usec < 0 || key == JOIN_GROUP || key == SYNC_GROUP) {
        return;
    }
    while (i < TRAFFIC_BOUNDS && (uint64_t) usec > bounds[i]) {
        i++;
    }
    add(&p->round_trip[request].counts[i], 1);
    add(&p->round_trip[request].sum_usec, (uint64_t) usec);
}

void traffic_failed(struct traffic *t, int32_t broker, enum traffic_failure why)
{
    add(&place_of(t, broker)->failed[why], 1);
}

/* A state is said when it changes: CONNECT begins each connection, DOWN ends it. */
void traffic_state(struct traffic *t, int32_t broker, const char *state)
{
    if (strcmp(state, "CONNECT") == 0) {
        add(&place_of(t, broker)->connects, 1);
    } else if (strcmp(state, "DOWN") == 0) {
        add(&place_of(t, broker)->disconnects, 1);
    }
}

void traffic_throttled(struct traffic *t, int32_t broker, int ms)
{
    add(&place_of(t, broker)->throttled_ms, (uint64_t) MAX(ms, 0));
}

const uint64_t *traffic_bounds(size_t *out_n)
{
    *out_n = TRAFFIC_BOUNDS;
    return bounds;
}

static bool is_used(const struct place *p)
{
    uint64_t any = get(&p->sent_bytes) | get(&p->received_bytes) | get(&p->connects) |
                   get(&p->disconnects) | get(&p->throttled_ms);

    for (size_t i = 0; i < TRAFFIC_FAILURES; i++) {
        any |= get(&p->failed[i]);
    }
    return any != 0;
}

static struct traffic_broker copy(const struct place *p, int32_t id)
{
    struct traffic_broker out = {
        .id = id,
        .sent_bytes = get(&p->sent_bytes),
        .received_bytes = get(&p->received_bytes),
        .connects = get(&p->connects),
        .disconnects = get(&p->disconnects),
        .throttled_ms = get(&p->throttled_ms),
    };

    for (size_t i = 0; i < TRAFFIC_FAILURES; i++) {
        out.failed[i] = get(&p->failed[i]);
    }
    for (size_t i = 0; i < TRAFFIC_REQUESTS; i++) {
        out.round_trip[i].sum_usec = get(&p->round_trip[i].sum_usec);
        for (size_t k = 0; k <= TRAFFIC_BOUNDS; k++) {
            out.round_trip[i].counts[k] = get(&p->round_trip[i].counts[k]);
        }
    }
    return out;
}

size_t traffic_read(const struct traffic *t, struct traffic_broker out[TRAFFIC_BROKERS + 1])
{
    size_t n = 0;

    for (size_t i = 0; i < TRAFFIC_BROKERS; i++) {
        int64_t id = atomic_load_explicit(&t->places[i].id, memory_order_relaxed);
        if (id == 0) {
            break;
        }
        out[n++] = copy(&t->places[i], (int32_t) (id - 2));
    }
    if (is_used(&t->places[TRAFFIC_BROKERS])) {
        out[n++] = copy(&t->places[TRAFFIC_BROKERS], TRAFFIC_REST);
    }
    return n;
}
