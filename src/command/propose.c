/*
 * pgsinkd propose: a table and a route for a topic of plain JSON, from its newest records. It is
 * printed for a person to judge, and nothing is executed; PostgreSQL is not even asked. Main
 * thread.
 */
#include "command/command.h"

#include "command/propose_text.h"
#include "command/try_text.h"
#include "kafka/client.h"
#include "kafka/lookup.h"
#include "kafka/sampler.h"

#include <stdio.h>

#define KAFKA_TIMEOUT (10 * USEC_PER_SEC)
#define RECORDS_BYTES ((size_t) 64 << 20)

struct reading {
    const struct command_args *args;
    const char *topic;
    struct client *client;
    struct lookup_topic *topics;
    size_t topic_count;
    struct sampler *sampler;
    struct sample sample;
};

static bool find_partitions(struct reading *r, int32_t *out, struct error *err)
{
    if (!lookup_await(r->client, KAFKA_TIMEOUT, err) ||
        !lookup_topics(r->client, &r->topics, &r->topic_count, KAFKA_TIMEOUT, err)) {
        return error_wrap(err, "kafka");
    }
    const struct lookup_topic *topic = lookup_find(r->topics, r->topic_count, r->topic, err);
    *out = topic != NULL ? topic->partition_count : 0;
    return topic != NULL;
}

static bool read_sample(struct reading *r, struct error *err)
{
    const struct sample_bounds bounds = {
        .records = r->args->records,
        .bytes = RECORDS_BYTES,
        .timeout = KAFKA_TIMEOUT,
    };
    int32_t partitions = 0;

    r->client = client_new(r->args->cfg, 1, err);
    if (r->client == NULL || !find_partitions(r, &partitions, err)) {
        return false;
    }
    r->sampler = sampler_new(r->client, r->args->cfg, err);
    if (r->sampler == NULL ||
        !sampler_read(r->sampler, r->topic, partitions, &bounds, &r->sample, err)) {
        return false;
    }
    if (r->sample.count > 0) {
        return true;
    }
    *err = r->sample.fault;
    return err->class == ERROR_NONE &&
           error_set(err, ERROR_RECORD, "%s has no records to propose a table from", r->topic);
}

/* None of the records is a JSON object: what are they? */
static void say_what_they_are(const struct reading *r, struct error *err)
{
    _cleanup_buf_ struct buf looks = {0};
    struct guesser *g = guesser_new();
    const struct message *last = &r->sample.records[r->sample.count - 1];

    try_text_looks(last->value, guess_value(g, last), false, &looks);
    guesser_free(g);
    error_set(err, ERROR_RECORD, "none of the newest %zu records of %s is a JSON object: %s",
              r->sample.count, r->topic, last->value.p == NULL ? "null" : buf_cstr(&looks));
    error_hint(err, "A route with format: raw stores keys and values of any topic as they are.");
}

static bool propose(struct reading *r, struct error *err)
{
    _cleanup_buf_ struct buf out = {0};
    struct proposal *p = proposal_new();

    for (size_t i = 0; i < r->sample.count; i++) {
        proposal_add(p, &r->sample.records[i]);
    }
    bool ok = proposal_rows(p) > 0;
    if (ok) {
        propose_text(p, r->topic, &out);
        fwrite(out.p, 1, out.n, stdout);
    } else {
        say_what_they_are(r, err);
    }
    proposal_free(p);
    return ok;
}

static void reading_done(struct reading *r)
{
    sample_done(&r->sample);
    sampler_free(r->sampler);
    lookup_topics_free(r->topics, r->topic_count);
    if (r->client != NULL) {
        (void) client_close(r->client, clock_mono() + USEC_PER_SEC);
    }
}

enum exit_code command_propose(const struct command_args *args)
{
    struct reading r = {.args = args, .topic = args->words[0]};
    struct error err;
    enum exit_code code = EXIT_OK;

    if (!read_sample(&r, &err)) {
        code = EXIT_SOURCE;
    } else if (!propose(&r, &err)) {
        code = EXIT_FAULT;
    }
    if (code != EXIT_OK) {
        command_fault(&err);
    }
    reading_done(&r);
    return code;
}
