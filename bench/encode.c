/*
 * encode: what pgsinkd costs without Kafka and PostgreSQL. Makes records in memory, then decodes
 * and encodes them into batches, over and over, by the same calls as sink/worker/worker_fill.c, on
 * one thread.
 *
 *     encode [-r] [-m COLUMN=PATH]... KIND COUNT NAME:TYPE...
 *
 *     -r               format: raw instead of json
 *     -m COLUMN=PATH   an entry of `columns:`
 *
 * The columns of the table are NAME:TYPE, the type as PostgreSQL calls it (int8, timestamptz, ...).
 * COUNT records are made once. Prints one line of JSON; the time is CPU time. Not installed.
 */
#include "records.h"
#include "tool.h"

#include "base/mem.h"
#include "row/record/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC UINT64_C(1000000000)
#define PARTITIONS 16
#define RUN 500 /* records of one partition in a row, as a fetch brings them */
#define MEASURE_NSEC NSEC_PER_SEC
#define ENTRIES_MAX 64

/* The defaults of batch.max_rows and batch.max_bytes. */
#define BATCH_ROWS 50000
#define BATCH_BYTES ((size_t) 16 << 20)

struct stored {
    size_t at; /* of the key in `bytes`, the value follows */
    uint32_t key_size;
    uint32_t value_size;
};

struct encode {
    struct mapping *mapping;
    struct decoder *decoder;
    struct batch *batches[2]; /* one is filled while the other would be sent */
    unsigned open;
    struct buf bytes;
    struct stored *records;
    uint64_t count;
    int64_t offsets[PARTITIONS];
    uint64_t encoded;
    uint64_t row_bytes;
};

static enum column_type type_of(const char *name)
{
    for (int t = 0; t < COLUMN_TYPES; t++) {
        if (strcmp(column_type_name((enum column_type) t), name) == 0) {
            return (enum column_type) t;
        }
    }
    die("there is no encoder for the type '%s'", name);
}

static struct table *table_of(char **words, size_t n)
{
    struct table *t = mem_zalloc(sizeof *t);

    t->schema = mem_strdup("public");
    t->name = mem_strdup("t");
    t->quoted = mem_strdup("\"public\".\"t\"");
    t->columns = mem_array(n, sizeof *t->columns);
    t->column_count = n;
    for (size_t i = 0; i < n; i++) {
        const char *colon = strchr(words[i], ':');
        if (colon == NULL) {
            die("'%s' is not NAME:TYPE", words[i]);
        }
        t->columns[i] = (struct column){
            .name = mem_strndup(words[i], (size_t) (colon - words[i])),
            .type_name = mem_strdup(colon + 1),
            .type = type_of(colon + 1),
            .typmod = -1,
        };
    }
    return t;
}

static void make_records(struct encode *e, const struct record_kind *kind)
{
    static struct record r;

    e->records = mem_array(e->count, sizeof *e->records);
    for (uint64_t i = 0; i < e->count; i++) {
        kind->make(&r, i + 1);
        e->records[i] = (struct stored){
            .at = e->bytes.n,
            .key_size = (uint32_t) r.key_size,
            .value_size = (uint32_t) r.value_size,
        };
        buf_add(&e->bytes, r.key, r.key_size);
        buf_add(&e->bytes, r.value, r.value_size);
    }
}

static void change_batch(struct encode *e)
{
    e->row_bytes += e->batches[e->open]->bytes;
    e->open = 1 - e->open;
    batch_clear(e->batches[e->open]);
}

static void add_record(struct encode *e, uint64_t i)
{
    int32_t partition = (int32_t) (i / RUN % PARTITIONS);
    const struct stored *s = &e->records[i];
    const char *at = (const char *) e->bytes.p + s->at;
    struct message msg = {
        .topic = STR_LIT("events"),
        .partition = partition,
        .leader_epoch = 0,
        .offset = e->offsets[partition],
        .timestamp_ms = (int64_t) i,
        .key = {at, s->key_size},
        .value = {at + s->key_size, s->value_size},
    };
    struct error err;
    const struct record_route route = {.mapping = e->mapping};
    struct batch *b = e->batches[e->open];
    uint32_t span = batch_span(b, &e->offsets[partition], msg.topic.p, partition, 1, msg.offset);

    batch_record_begin(b, span, msg.offset, msg.timestamp_ms, msg.leader_epoch);
    if (!record_rows(e->decoder, &route, &msg, b, &err)) {
        die("record %" PRIu64 ": %s", i + 1, err.text);
    }
    batch_record_end(b);
    e->offsets[partition]++;
    if (b->record_count >= BATCH_ROWS || b->bytes >= BATCH_BYTES) {
        change_batch(e);
    }
}

static uint64_t cpu_nsec(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t) t.tv_sec * NSEC_PER_SEC + (uint64_t) t.tv_nsec;
}

static void pass(struct encode *e)
{
    for (uint64_t i = 0; i < e->count; i++) {
        add_record(e, i);
    }
    e->encoded += e->count;
}

/* The first pass warms up. */
static uint64_t measure(struct encode *e)
{
    pass(e);
    change_batch(e);
    e->encoded = 0;
    e->row_bytes = 0;
    uint64_t began = cpu_nsec();
    uint64_t spent;
    do {
        pass(e);
        spent = cpu_nsec() - began;
    } while (spent < MEASURE_NSEC);
    change_batch(e);
    return spent;
}

static void print_result(const struct encode *e, uint64_t spent)
{
    uint64_t value_bytes = 0;

    for (uint64_t i = 0; i < e->count; i++) {
        value_bytes += e->records[i].value_size;
    }
    printf("{\"records\": %" PRIu64 ", \"ns_per_record\": %.1f, \"value_bytes\": %.1f"
           ", \"row_bytes\": %.1f}\n",
           e->encoded, (double) spent / (double) e->encoded,
           (double) value_bytes / (double) e->count, (double) e->row_bytes / (double) e->encoded);
}

static void add_entry(struct mapping_spec *spec, struct mapping_entry *entries, char *word)
{
    char *equals = strchr(word, '=');

    if (equals == NULL || spec->entry_count == ENTRIES_MAX) {
        die("'%s' is not COLUMN=PATH, or one too many", word);
    }
    *equals = '\0';
    entries[spec->entry_count++] = (struct mapping_entry){.column = word, .path = equals + 1};
}

int main(int argc, char **argv)
{
    struct mapping_entry entries[ENTRIES_MAX];
    struct mapping_spec spec = {.format = FORMAT_JSON, .entries = entries};
    int c;

    while ((c = getopt(argc, argv, "rm:")) != -1) {
        switch (c) {
        case 'r':
            spec.format = FORMAT_RAW;
            break;
        case 'm':
            add_entry(&spec, entries, optarg);
            break;
        default:
            return 2;
        }
    }
    if (argc - optind < 3) {
        fprintf(stderr, "usage: encode [-r] [-m COLUMN=PATH]... KIND COUNT NAME:TYPE...\n");
        return 2;
    }
    struct error err;
    struct table *table = table_of(argv + optind + 2, (size_t) (argc - optind - 2));
    struct encode e = {
        .mapping = mapping_new(table, &spec, 0, &err),
        .decoder = decoder_new(),
        .batches = {batch_new(), batch_new()},
        .count = number_of(argv[optind + 1], 1, 10000000),
    };
    if (e.mapping == NULL) {
        die("%s", err.text);
    }
    make_records(&e, record_kind_find(argv[optind]));
    print_result(&e, measure(&e));
    free(e.records);
    buf_done(&e.bytes);
    batch_free(e.batches[0]);
    batch_free(e.batches[1]);
    decoder_free(e.decoder);
    mapping_free(e.mapping);
    table_free(table);
    return 0;
}
