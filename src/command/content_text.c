/* See content_text.h. Threads of a command, one at a time. */
#include "command/content_text.h"

#include "command/escape.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const KIND_NAMES[CONTENT_KINDS] = {"missing", "doubled", "different",
                                                      "without a record", "of a former log"};

static const char *const KEY_KIND_NAMES[PRESENCE_FAULTS] = {"missing", "not deleted"};

/* A string of JSON. */
static void json_print(const char *text)
{
    _cleanup_buf_ struct buf out = {0};

    escape_add(&out, str_of(text), '"');
    printf("\"%s\"", buf_cstr(&out));
}

/* The rest of an object of JSON: where a finding is, and in which table. */
static void print_place(const struct content_summary *s, int32_t partition, int64_t offset,
                        const struct table *table)
{
    printf(",\"topic\":");
    json_print(s->topic);
    printf(",\"partition\":%" PRId32 ",\"offset\":%" PRId64 ",\"schema\":", partition, offset);
    json_print(table->schema);
    printf(",\"table\":");
    json_print(table->name);
}

void content_text_finding(const struct content_summary *s, int32_t partition,
                          const struct table *table, const struct content_finding *f)
{
    if (s->json) {
        printf("{\"what\":\"%s\"", KIND_NAMES[f->kind]);
        print_place(s, partition, f->offset, table);
        printf(",\"expected\":%" PRId64 ",\"found\":%" PRId64 ",\"columns\":[", f->expected,
               f->found);
        for (size_t i = 0; i < f->column_count; i++) {
            printf("%s", i > 0 ? "," : "");
            json_print(f->columns[i]);
        }
        printf("]}\n");
        return;
    }
    printf("%s-%" PRId32 "@%" PRId64 ": ", s->topic, partition, f->offset);
    if (f->kind != CONTENT_DIFFERENT) {
        printf("%s in %s: %" PRId64 " expected, %" PRId64 " found\n", KIND_NAMES[f->kind],
               table->quoted, f->expected, f->found);
        return;
    }
    printf("different in %s", table->quoted);
    for (size_t i = 0; i < f->column_count; i++) {
        printf("%s%s", i > 0 ? ", " : ": ", f->columns[i]);
    }
    printf("\n");
}

void content_text_key_finding(const struct content_summary *s, const struct table *table,
                              const struct presence_finding *f)
{
    if (s->json) {
        printf("{\"what\":\"%s\"", KEY_KIND_NAMES[f->kind]);
        print_place(s, f->partition, f->offset, table);
        printf(",\"expected\":%d,\"found\":%d,\"found_offset\":", f->kind == PRESENCE_MISSING,
               f->found >= 0);
        if (f->found >= 0) {
            printf("%" PRId64 "}\n", f->found);
        } else {
            printf("null}\n");
        }
        return;
    }
    printf("%s-%" PRId32 "@%" PRId64 ": %s in %s: ", s->topic, f->partition, f->offset,
           KEY_KIND_NAMES[f->kind], table->quoted);
    if (f->found >= 0) {
        printf("the row of its key is of offset %" PRId64 "\n", f->found);
    } else {
        printf("there is neither a row nor a dead letter\n");
    }
}

/* ---- the summary ---- */

static uint64_t missing(const struct content_summary *s)
{
    return s->counts[CONTENT_MISSING] + s->key_counts[PRESENCE_MISSING];
}

uint64_t content_text_faults(const struct content_summary *s)
{
    return missing(s) + s->counts[CONTENT_DOUBLED] + s->counts[CONTENT_DIFFERENT] +
           s->key_counts[PRESENCE_UNDELETED];
}

static uint64_t undecided(const struct content_summary *s)
{
    uint64_t n = s->counts[CONTENT_FORMER];

    for (size_t i = PRESENCE_FAULTS; i < PRESENCE_KINDS; i++) {
        n += s->key_counts[i];
    }
    return n;
}

static const char former_reason[] =
    "rows of a former log of the partition have the same offsets, so it is not known which are of "
    "which";

static void print_json(const struct content_summary *s)
{
    size_t n = 0;

    printf("{\"what\":\"summary\",\"topic\":");
    json_print(s->topic);
    printf(",\"partitions\":%zu,\"tables\":%zu,\"records\":%" PRIu64 ",\"missing\":%" PRIu64
           ",\"doubled\":%" PRIu64 ",\"different\":%" PRIu64 ",\"not_deleted\":%" PRIu64
           ",\"without_record\":%" PRIu64 ",\"undecided\":%" PRIu64 ",\"why_undecided\":[",
           s->part_count, s->table_count, s->records, missing(s), s->counts[CONTENT_DOUBLED],
           s->counts[CONTENT_DIFFERENT], s->key_counts[PRESENCE_UNDELETED],
           s->counts[CONTENT_STRANGE], undecided(s));
    if (s->counts[CONTENT_FORMER] > 0) {
        printf("{\"count\":%" PRIu64 ",\"reason\":\"%s\"}", s->counts[CONTENT_FORMER],
               former_reason);
        n++;
    }
    for (size_t i = PRESENCE_FAULTS; i < PRESENCE_KINDS; i++) {
        if (s->key_counts[i] > 0) {
            printf("%s{\"count\":%" PRIu64 ",\"reason\":\"%s\"}", n++ > 0 ? "," : "",
                   s->key_counts[i], presence_reason((enum presence_kind) i));
        }
    }
    printf("],\"never_read\":[");
    n = 0;
    for (size_t i = 0; i < s->part_count; i++) {
        if (s->began[i].first > 0) {
            printf("%s{\"partition\":%" PRId32 ",\"below\":%" PRId64 "}", n++ > 0 ? "," : "",
                   s->began[i].partition, s->began[i].first);
        }
    }
    printf("]}\n");
}

static void print_undecided(const struct content_summary *s)
{
    if (undecided(s) == 0) {
        return;
    }
    printf("%" PRIu64 " could not be decided:\n", undecided(s));
    if (s->counts[CONTENT_FORMER] > 0) {
        printf("  %" PRIu64 ": %s\n", s->counts[CONTENT_FORMER], former_reason);
    }
    for (size_t i = PRESENCE_FAULTS; i < PRESENCE_KINDS; i++) {
        if (s->key_counts[i] > 0) {
            printf("  %" PRIu64 ": %s\n", s->key_counts[i],
                   presence_reason((enum presence_kind) i));
        }
    }
}

/* What was never to be stored is not missing. */
static void print_never_read(const struct content_summary *s)
{
    for (size_t i = 0; i < s->part_count; i++) {
        if (s->began[i].first > 0) {
            printf("%s-%" PRId32 ": offsets below %" PRId64
                   " were never read by pgsinkd: the partition began there\n",
                   s->topic, s->began[i].partition, s->began[i].first);
        }
    }
}

void content_text_summary(const struct content_summary *s)
{
    size_t tables = s->table_count;

    if (s->json) {
        print_json(s);
        return;
    }
    if (content_text_faults(s) > s->listed) {
        printf("... and %" PRIu64 " more\n", content_text_faults(s) - s->listed);
    }
    printf("%s: %" PRIu64 " records of %zu partition%s compared with %zu table%s: %" PRIu64
           " missing, %" PRIu64 " doubled, %" PRIu64 " different",
           s->topic, s->records, s->part_count, s->part_count == 1 ? "" : "s", tables,
           tables == 1 ? "" : "s", missing(s), s->counts[CONTENT_DOUBLED],
           s->counts[CONTENT_DIFFERENT]);
    if (s->keyed_count > 0) {
        printf(", %" PRIu64 " not deleted", s->key_counts[PRESENCE_UNDELETED]);
    }
    printf("\n");
    print_undecided(s);
    print_never_read(s);
    if (s->counts[CONTENT_STRANGE] > 0) {
        printf("%" PRIu64 " offsets have rows whose record is not in Kafka any more: they cannot "
               "be compared\n",
               s->counts[CONTENT_STRANGE]);
    }
}
