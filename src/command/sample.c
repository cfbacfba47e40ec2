/*
 * See sample.h: which topics, which routes, and what the exit code says. Nothing is written:
 * neither to PostgreSQL nor to the group. Main thread.
 */
#include "command/sample.h"

#include "command/command.h"
#include "kafka/sampler.h"
#include "sink/schemas/teacher.h"

#include <inttypes.h>
#include <stdio.h>

#define TOPIC_TIMEOUT (10 * USEC_PER_SEC)
#define TOPIC_BYTES ((size_t) 16 << 20)
/* A pattern may match very many topics. */
#define ALL_TIMEOUT (60 * USEC_PER_SEC)

struct run {
    const struct sample_job *job;
    struct sampler *sampler;
    struct teacher *teacher;
    usec_t deadline;
    enum exit_code code; /* of the first fault */
    size_t records;      /* that went through a route, and through each of several */
    size_t rejected;
    size_t left_out; /* topics, because time was up */
};

static void fault(struct run *r, enum exit_code code, const struct error *err)
{
    fflush(stdout);
    command_fault(err);
    if (r->code == EXIT_OK) {
        r->code = code;
    }
}

/* Does a route take it whose tables are known? */
static bool is_wanted(const struct sample_job *job, const char *topic)
{
    struct record_route route;

    for (size_t i = 0; i < job->cfg->route_count; i++) {
        if (plan_route_takes(job->plan, i, topic) && plan_route(job->plan, i, topic, &route)) {
            return true;
        }
    }
    return false;
}

/* One bad record among good ones is what dead letters are for. If there is no good one, either the
 * route or the topic is not what somebody believes. */
static void judge(struct run *r, const char *topic, const struct trial *t)
{
    struct error err;

    r->records += t->records;
    r->rejected += t->rejected;
    if (t->rejected < t->records) {
        return;
    }
    error_set(&err, ERROR_SETUP, "sample of %s: route %" PRIu32 " would reject every record", topic,
              t->route->number + 1);
    error_hint(&err,
               "Compare the reasons above with the route; --sample 0 checks without records.");
    fault(r, EXIT_FAULT, &err);
}

/* Asks for the schemas that the record names. False: the registry does not answer. */
static bool teach(struct run *r, struct trial *t, const char *topic, const struct message *msg)
{
    struct error err;

    while (trial_lacks(t, msg)) {
        if (!teacher_teach(r->teacher, t->decoder, &err)) {
            error_wrap(&err, "sample of %s", topic);
            fault(r, EXIT_FAULT, &err);
            return false;
        }
    }
    return true;
}

static void try_route(struct run *r, size_t number, const char *topic, const struct sample *sample)
{
    struct record_route route;
    struct trial t;

    if (!plan_route_takes(r->job->plan, number, topic) ||
        !plan_route(r->job->plan, number, topic, &route)) {
        return;
    }
    trial_init(&t, &route);
    bool ok = true;
    for (size_t i = 0; ok && i < sample->count; i++) {
        ok = teach(r, &t, topic, &sample->records[i]);
        if (ok) {
            trial_add(&t, &sample->records[i]);
        }
    }
    if (ok) {
        sample_print_trial(&r->job->cfg->routes[number], topic, &t);
        judge(r, topic, &t);
    }
    trial_done(&t);
}

static void print_head(const char *topic, const struct sample *sample)
{
    if (sample->count == 0) {
        printf("sample of %s: no records\n", topic);
    } else {
        printf("sample of %s: the newest %zu record%s", topic, sample->count,
               sample->count == 1 ? "" : "s");
        if (sample->is_cut) {
            printf(", which are %zu MiB", TOPIC_BYTES >> 20);
        }
        printf("\n");
    }
}

static void report_silent(struct run *r, const char *topic, const struct sample *sample)
{
    struct error err = sample->fault;

    if (sample->silent == 0) {
        return;
    }
    if (err.class == ERROR_NONE) {
        error_set(&err, ERROR_LINK, "there is no answer within %d s",
                  (int) (TOPIC_TIMEOUT / USEC_PER_SEC));
    }
    error_wrap(&err, "sample of %s: %zu partition%s cannot be read", topic, sample->silent,
               sample->silent == 1 ? "" : "s");
    fault(r, EXIT_SOURCE, &err);
}

static void try_topic(struct run *r, const struct lookup_topic *topic)
{
    const struct sample_bounds bounds = {
        .records = r->job->records,
        .bytes = TOPIC_BYTES,
        .timeout = TOPIC_TIMEOUT,
    };
    struct sample sample;
    struct error err;

    if (!sampler_read(r->sampler, topic->name, topic->partition_count, &bounds, &sample, &err)) {
        error_wrap(&err, "sample of %s", topic->name);
        fault(r, EXIT_SOURCE, &err);
        return;
    }
    print_head(topic->name, &sample);
    for (size_t i = 0; sample.count > 0 && i < r->job->cfg->route_count; i++) {
        try_route(r, i, topic->name, &sample);
    }
    report_silent(r, topic->name, &sample);
    sample_done(&sample);
}

static void try_topics(struct run *r)
{
    for (size_t i = 0; i < r->job->topic_count; i++) {
        if (!is_wanted(r->job, r->job->topics[i].name)) {
            continue;
        }
        if (clock_mono() < r->deadline) {
            try_topic(r, &r->job->topics[i]);
        } else {
            r->left_out++;
        }
    }
}

enum exit_code sample_check(const struct sample_job *job)
{
    struct error err;
    struct run r = {
        .job = job,
        .deadline = clock_mono() + ALL_TIMEOUT,
        .code = EXIT_OK,
    };

    r.sampler = sampler_new(job->client, job->cfg, &err);
    if (r.sampler == NULL) {
        fault(&r, EXIT_CONFIG, &err);
        return r.code;
    }
    r.teacher = teacher_new(job->cfg, NULL, -1);
    try_topics(&r);
    teacher_free(r.teacher);
    sampler_free(r.sampler);
    if (r.left_out > 0) {
        printf("sample: %zu topics are left out, because %d s are over\n", r.left_out,
               (int) (ALL_TIMEOUT / USEC_PER_SEC));
    }
    if (r.rejected > 0) {
        printf("sample: %zu of %zu records would be rejected\n", r.rejected, r.records);
    }
    return r.code;
}
