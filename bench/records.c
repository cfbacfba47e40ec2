/* See records.h. */
#include "records.h"

#include "tool.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define USERS 1000000
#define IDS 1000000 /* of uniform and zipfian */
#define SKEW 0.99
#define FIRST_MS INT64_C(1795437296789) /* 2026-11-23T12:34:56.789Z */
#define NOTE_MIN 80
#define NOTE_SPREAD 17
#define DOCUMENT_BYTES 1024
#define ITEMS 4
#define WIDE_FIELDS 40

static const char *const KINDS[] = {
    "page_visited", "item_in_cart", "order_placed", "payment_done",
    "parcel_ready", "parcel_taken", "order_closed", "refund_begun",
};
static const char *const CITIES[] = {
    "Oslo", "K\u00f6ln", "Galway", "\u0141\u00f3d\u017a", "Amman", "M\u00e1laga", "Enugu", "Turku",
};
/* Texts are pieces of it. */
static const char FILLER[] =
    "the quick brown fox jumps over the lazy dog while five boxing wizards quickly jump at dawn; "
    "pack my box with two dozen liquor jugs, and be sure that nobody reads a word of this line";

/* One number out of another, the same in every run. */
static uint64_t scramble(uint64_t x)
{
    x = x * UINT64_C(0x2545f4914f6cdd1d) + 1;
    x ^= x >> 29;
    x *= UINT64_C(0x9e3779b97f4a7c15);
    return x ^ (x >> 32);
}

/* A number from 0 to below `end`, from the bits of x above `shift`. */
static int part(uint64_t x, unsigned shift, int end)
{
    return (int) ((x >> shift) % (unsigned) end);
}

static __attribute__((format(printf, 2, 3))) void add(struct record *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    size_t room = sizeof r->value - r->value_size;
    int n = vsnprintf(r->value + r->value_size, room, format, args);
    va_end(args);
    if (n < 0 || (size_t) n >= room) {
        die("a record is larger than %d bytes", RECORD_VALUE_MAX);
    }
    r->value_size += (size_t) n;
}

static void set_key(struct record *r, uint64_t key)
{
    r->key_size = (size_t) snprintf(r->key, sizeof r->key, "%" PRIu64, key);
}

static void add_time(struct record *r, uint64_t number)
{
    static time_t last;
    static char second_text[32];
    int64_t ms = FIRST_MS + (int64_t) number;
    time_t second = (time_t) (ms / 1000);

    if (second != last) {
        struct tm tm;
        strftime(second_text, sizeof second_text, "%Y-%m-%dT%H:%M:%S", gmtime_r(&second, &tm));
        last = second;
    }
    add(r, "\"%s.%03dZ\"", second_text, (int) (ms % 1000));
}

/* size bytes of filling as a JSON string, from a place that r chooses. */
static void add_text(struct record *r, size_t size, uint64_t choice)
{
    size_t from = choice % (sizeof FILLER - 1);

    add(r, "\"");
    while (size > 0) {
        size_t n = sizeof FILLER - 1 - from;
        n = n < size ? n : size;
        add(r, "%.*s", (int) n, FILLER + from);
        size -= n;
        from = 0;
    }
    add(r, "\"");
}

/* ---- events: what is in them depends on the number, and the id is given ---- */

static void make_event(struct record *r, uint64_t number, uint64_t id, uint64_t user)
{
    uint64_t x = scramble(number);
    int note = (int) (NOTE_MIN + (x >> 50) % NOTE_SPREAD);

    r->value_size = 0;
    add(r, "{\"id\":%" PRIu64 ",\"ts\":", id);
    add_time(r, number);
    add(r, ",\"user_id\":%" PRIu64 ",\"amount\":%d.%02d,\"kind\":\"%s\",\"note\":\"%.*s\"}", user,
        part(x, 0, 900), part(x, 20, 100), KINDS[(x >> 30) % COUNT(KINDS)], note,
        FILLER + (x >> 40) % (sizeof FILLER - NOTE_MIN - NOTE_SPREAD));
}

static void make_events(struct record *r, uint64_t number)
{
    uint64_t user = scramble(number * 3) % USERS;

    make_event(r, number, number, user);
    set_key(r, user);
}

static void make_uniform(struct record *r, uint64_t number)
{
    uint64_t id = scramble(number * 5) % IDS + 1;

    make_event(r, number, id, scramble(number * 3) % USERS);
    set_key(r, id);
}

/* From 0 to below 1. */
static double fraction(uint64_t x)
{
    return (double) (x >> 11) / 9007199254740992.0;
}

/*
 * A rank from 0 on, by the method of Gray et al., "Quickly generating billion-record synthetic
 * databases" (1994).
 */
static uint64_t zipf_rank(double u)
{
    static double zeta;
    double zeta2 = 1 + pow(0.5, SKEW);

    if (zeta < 1) {
        for (uint64_t i = 1; i <= IDS; i++) {
            zeta += pow((double) i, -SKEW);
        }
    }
    double eta = (1 - pow(2.0 / IDS, 1 - SKEW)) / (1 - zeta2 / zeta);
    if (u * zeta < 1) {
        return 0;
    }
    if (u * zeta < zeta2) {
        return 1;
    }
    uint64_t rank = (uint64_t) (IDS * pow(eta * u - eta + 1, 1 / (1 - SKEW)));
    return rank < IDS ? rank : IDS - 1;
}

/* Often used ids are not neighbours: the prime factor, coprime to IDS, spreads them. */
static void make_zipfian(struct record *r, uint64_t number)
{
    uint64_t id = zipf_rank(fraction(scramble(number * 5))) * UINT64_C(382969) % IDS + 1;

    make_event(r, number, id, scramble(number * 3) % USERS);
    set_key(r, id);
}

/* ---- the others ---- */

static void make_narrow(struct record *r, uint64_t number)
{
    uint64_t x = scramble(number);
    uint64_t device = (x >> 20) % 100000;

    r->value_size = 0;
    add(r, "{\"id\":%" PRIu64 ",\"device\":%" PRIu64 ",\"reading\":%d,\"ts\":", number, device,
        part(x, 40, 100000));
    add_time(r, number);
    add(r, "}");
    set_key(r, device);
}

static void add_item(struct record *r, uint64_t x)
{
    add(r, "{\"sku\":\"%06" PRIu64 "\",\"name\":", x % 1000000);
    add_text(r, 24, x >> 20);
    add(r, ",\"quantity\":%d,\"price\":%d.%02d,\"tags\":[\"%s\",\"%s\"]}", part(x, 30, 9) + 1,
        part(x, 34, 500), part(x, 44, 100), KINDS[(x >> 50) % COUNT(KINDS)],
        KINDS[(x >> 55) % COUNT(KINDS)]);
}

static void make_documents(struct record *r, uint64_t number)
{
    uint64_t x = scramble(number);
    uint64_t user = scramble(number * 3) % USERS;

    r->value_size = 0;
    add(r, "{\"id\":%" PRIu64 ",\"ts\":", number);
    add_time(r, number);
    add(r, ",\"customer\":{\"id\":%" PRIu64 ",\"email\":\"%" PRIu64 "@example.org\"", user, user);
    add(r, ",\"address\":{\"street\":\"%d Main Street\",\"city\":\"%s\",\"zip\":\"%05d\"}}",
        part(x, 20, 300) + 1, CITIES[(x >> 30) % COUNT(CITIES)], part(x, 40, 100000));
    add(r, ",\"items\":[");
    for (uint64_t i = 0; i < ITEMS; i++) {
        add(r, "%s", i == 0 ? "" : ",");
        add_item(r, scramble(number * 7 + i));
    }
    add(r, "],\"paid\":%s,\"coupon\":null,\"total\":%d.%02d,\"note\":", x & 1 ? "true" : "false",
        part(x, 8, 2000), part(x, 50, 100));
    size_t rest = r->value_size + sizeof "\"\"}" - 1;
    add_text(r, DOCUMENT_BYTES > rest ? DOCUMENT_BYTES - rest : 0, x >> 16);
    add(r, "}");
    set_key(r, user);
}

/* Field i of a wide record: its type is i % 10, as the table of the workload has it. */
static void add_wide_value(struct record *r, unsigned i, uint64_t number, uint64_t x)
{
    switch (i % 10) {
    case 0:
        add(r, "%" PRIu64, i == 0 ? number : x >> 8);
        return;
    case 1:
        add(r, "%d", part(x, 16, 2000000000) - 1000000000);
        return;
    case 2:
        add(r, "%d", part(x, 24, 60000) - 30000);
        return;
    case 3:
        add(r, "%d.%04d", part(x, 16, 100000), part(x, 44, 10000));
        return;
    case 4:
        add(r, "%d.%02d", part(x, 16, 10000000), part(x, 44, 100));
        return;
    case 5:
        add(r, x & 256 ? "true" : "false");
        return;
    case 6:
        add_text(r, 8 + (x >> 16) % 25, x >> 30);
        return;
    case 7:
        add_time(r, number);
        return;
    case 8:
        add(r, "\"20%02d-%02d-%02d\"", part(x, 16, 100), part(x, 24, 12) + 1, part(x, 32, 28) + 1);
        return;
    default:
        add(r, "\"%08" PRIx32 "-%04" PRIx32 "-4%03" PRIx32 "-a%03" PRIx32 "-%012" PRIx64 "\"",
            (uint32_t) x, (uint32_t) (x >> 32) & 0xffff, (uint32_t) (x >> 48) & 0xfff,
            (uint32_t) (x >> 20) & 0xfff, scramble(x) & UINT64_C(0xffffffffffff));
        return;
    }
}

static void make_wide(struct record *r, uint64_t number)
{
    r->value_size = 0;
    for (unsigned i = 0; i < WIDE_FIELDS; i++) {
        uint64_t x = scramble(number * WIDE_FIELDS + i);
        if (i > 0 && x % 10 == 0) {
            continue;
        }
        add(r, "%c\"c%02u\":", i == 0 ? '{' : ',', i);
        if (i > 0 && x % 10 == 1) {
            add(r, "null");
        } else {
            add_wide_value(r, i, number, x);
        }
    }
    add(r, "}");
    set_key(r, number);
}

static const struct record_kind RECORD_KINDS[] = {
    {"events", make_events}, {"narrow", make_narrow},   {"documents", make_documents},
    {"wide", make_wide},     {"uniform", make_uniform}, {"zipfian", make_zipfian},
};

const struct record_kind *record_kind_find(const char *name)
{
    for (size_t i = 0; i < COUNT(RECORD_KINDS); i++) {
        if (strcmp(RECORD_KINDS[i].name, name) == 0) {
            return &RECORD_KINDS[i];
        }
    }
    die("there are no records of the kind '%s'", name);
}
