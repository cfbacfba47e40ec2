/*
 * pgsinkd seek: where partitions continue: at an offset, which is set at once; at a place that only
 * Kafka knows, which a daemon asks for; at the offsets that another consumer group has committed,
 * which are asked for here. Main thread.
 */
#include "command/steer.h"

#include "base/mem.h"
#include "kafka/client.h"
#include "kafka/lookup.h"
#include "sink/plan/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOKUP_TIMEOUT (10 * USEC_PER_SEC)

/* ---- in words ---- */

static bool add_moved(const struct listing *changes, size_t row, struct buf *out)
{
    const char *before = listing_cell(changes, row, CHANGE_BEFORE);
    const char *asked = listing_cell(changes, row, CHANGE_ASKED);
    const char *state = listing_cell(changes, row, CHANGE_STATE);

    steer_add_place(changes, row, out);
    buf_printf(out, ": %s -> %s", before != NULL ? before : "(not begun)",
               asked != NULL ? asked : listing_cell(changes, row, CHANGE_AFTER));
    if (asked != NULL) {
        buf_add_z(out, ", when its daemon has asked Kafka");
    }
    if (state != NULL) {
        buf_printf(out, "; it is %s", state);
    }
    return true;
}

/* ---- to a place ---- */

/* An offset is set as it is. Beyond the end that is known, it is most often a slip; but that end
 * may be old, so it is no fault. */
static bool warn_beyond_end(struct steer *s, struct error *err)
{
    enum { TOPIC, PARTITION, NEXT_OFFSET, END_OFFSET };
    _cleanup_listing_ struct listing l = {0};
    int64_t next;
    int64_t end;

    if (!str_to_i64(str_of(s->args->words[1]), &next)) {
        return true;
    }
    if (!control_list(&s->control, CONTROL_PARTITIONS, &s->at, &l, err)) {
        return false;
    }
    for (size_t i = 0; i < l.row_count; i++) {
        const char *cell = listing_cell(&l, i, END_OFFSET);
        if (cell == NULL || !str_to_i64(str_of(cell), &end) || next <= end) {
            continue;
        }
        struct error warning;
        error_set(&warning, ERROR_SETUP, "%s-%s@%" PRId64 " is beyond the end, which was %" PRId64,
                  listing_cell(&l, i, TOPIC), listing_cell(&l, i, PARTITION), next, end);
        error_hint(&warning, "Unless the log has grown so far, the partition stops there. To store "
                             "only what comes from now on: latest.");
        steer_warn(&warning);
    }
    return true;
}

static bool seek_place(struct steer *s, struct error *err)
{
    _cleanup_listing_ struct listing changes = {0};

    if (!control_do(&s->control, CONTROL_SEEK, &s->at, s->args->words[1], &changes, err)) {
        return false;
    }
    if (steer_print(s, &changes, add_moved) > 0 || s->at.partition == NULL) {
        return warn_beyond_end(s, err);
    }
    s->code = EXIT_USAGE;
    return error_set(err, ERROR_SETUP, "sink '%s' has not read partition %s of topic '%s'",
                     s->args->cfg->sink, s->at.partition, s->at.topic);
}

/* ---- to those of a group ---- */

struct group {
    struct client *client;
    struct lookup_topic *topics;
    size_t topic_count;
    struct partition_ref *refs; /* of the topics that are wanted */
    size_t ref_count;
    struct control_start *starts; /* those for which the group has an offset */
    size_t start_count;
};

static void group_done(struct group *g)
{
    free(g->starts);
    free(g->refs);
    lookup_topics_free(g->topics, g->topic_count);
    if (g->client != NULL) {
        (void) client_close(g->client, clock_mono() + USEC_PER_SEC);
    }
}

#define _cleanup_group_ _cleanup_(group_done)

static bool is_wanted(const struct steer *s, const struct plan *plan, const char *topic)
{
    return s->at.topic != NULL ? strcmp(topic, s->at.topic) == 0 : plan_takes(plan, topic);
}

static void choose_partitions(const struct steer *s, struct group *g)
{
    struct plan *plan = plan_new(s->args->cfg);
    size_t n = 0;

    for (size_t i = 0; i < g->topic_count; i++) {
        n += (size_t) g->topics[i].partition_count;
    }
    g->refs = mem_array(MAX(n, 1), sizeof *g->refs);
    for (size_t i = 0; i < g->topic_count; i++) {
        bool wanted = is_wanted(s, plan, g->topics[i].name);
        for (int32_t p = 0; wanted && p < g->topics[i].partition_count; p++) {
            g->refs[g->ref_count++] = (struct partition_ref){.topic = g->topics[i].name,
                                                             .partition = p};
        }
    }
    plan_free(plan);
}

static bool take_offsets(const struct steer *s, struct group *g, struct error *err)
{
    g->starts = mem_array(MAX(g->ref_count, 1), sizeof *g->starts);
    for (size_t i = 0; i < g->ref_count; i++) {
        const struct partition_ref *ref = &g->refs[i];
        if (ref->offset == LOOKUP_FAILED) {
            return error_set(err, ERROR_LINK, "kafka: %s-%d: no answer about group '%s'",
                             ref->topic, ref->partition, s->args->from_group);
        }
        if (ref->offset >= 0) {
            g->starts[g->start_count++] = (struct control_start){
                .topic = ref->topic, .partition = ref->partition, .next_offset = ref->offset};
        }
    }
    if (g->start_count > 0) {
        return true;
    }
    error_set(err, ERROR_SETUP, "group '%s' has no offsets of this sink's topics",
              s->args->from_group);
    return error_hint(err, "Check its name: kafka-consumer-groups.sh --list. Offsets that are not "
                           "renewed expire after offsets.retention.minutes.");
}

/* A consumer of that group, which does not join it. */
static bool ask_group(const struct steer *s, struct group *g, struct error *err)
{
    struct config other = *s->args->cfg;
    _cleanup_mem_ char *group = mem_strdup(s->args->from_group);

    other.kafka.group = group;
    g->client = client_new(&other, 1, err);
    if (g->client == NULL || !lookup_await(g->client, LOOKUP_TIMEOUT, err) ||
        !lookup_subscribed(g->client, &other, &g->topics, &g->topic_count, LOOKUP_TIMEOUT, err)) {
        return false;
    }
    choose_partitions(s, g);
    return g->ref_count == 0 ||
           lookup_committed(g->client, g->refs, g->ref_count, LOOKUP_TIMEOUT, err);
}

static bool seek_group(struct steer *s, struct error *err)
{
    _cleanup_group_ struct group g = {0};
    _cleanup_listing_ struct listing changes = {0};
    _cleanup_buf_ struct buf reason = {0};

    s->code = EXIT_SOURCE;
    if (!ask_group(s, &g, err) || !take_offsets(s, &g, err)) {
        return false;
    }
    s->code = EXIT_TARGET;
    buf_printf(&reason, "the offset of group '%s'", s->args->from_group);
    if (!control_take_over(&s->control, g.starts, g.start_count, buf_cstr(&reason), &changes,
                           err)) {
        return false;
    }
    (void) steer_print(s, &changes, add_moved);
    return true;
}

/* ---- both ---- */

static enum exit_code misuse(const char *what)
{
    fprintf(stderr, "pgsinkd seek: %s\n", what);
    return EXIT_USAGE;
}

enum exit_code command_seek(const struct command_args *args)
{
    if (args->from_group == NULL) {
        return args->words[1] == NULL
                   ? misuse("where to? earliest, latest, an offset or a time; or --from-group")
                   : steer_run(args, "seek", args->words[0], STEER_BEGUN, seek_place);
    }
    if (args->words[1] != NULL) {
        return misuse("--from-group says where: leave out the place");
    }
    if (args->words[0] != NULL && strchr(args->words[0], ':') != NULL) {
        return misuse("--from-group is for whole topics");
    }
    if (strlen(args->from_group) > INT16_MAX) {
        return misuse("--from-group: no group has so long a name");
    }
    return steer_run(args, "seek", args->words[0], STEER_FUTURE, seek_group);
}
