/*
 * The second half of `check`: the newest records of each topic are read and made into rows, which
 * go nowhere. Main thread.
 */
#ifndef COMMAND_SAMPLE_H
#define COMMAND_SAMPLE_H

#include "kafka/client.h"
#include "kafka/lookup.h"
#include "row/record/trial.h"
#include "sink/exit.h"
#include "sink/plan/plan.h"

#define SAMPLE_RECORDS 100        /* without --sample */
#define SAMPLE_RECORDS_MAX 100000 /* of --sample, and of propose --records */

struct sample_job {
    const struct config *cfg;
    const struct plan *plan; /* routes whose tables are missing there are left out */
    struct client *client;
    const struct lookup_topic *topics;
    size_t topic_count;
    size_t records; /* of each topic */
};

/*
 * Prints what would become of the sample of every topic through each of its routes. Faults go to
 * stderr. EXIT_FAULT: all records of a sample would be rejected by a route; EXIT_SOURCE: a topic
 * cannot be read.
 */
enum exit_code sample_check(const struct sample_job *job);

/* sample_text.c: what a trial has found, some lines. */
void sample_print_trial(const struct config_route *route, const char *topic, const struct trial *t);

/* ... which fields no column takes, and documents that are stored as strings. */
void sample_print_fields(const struct config_route *route, const struct survey *s);

/* ... what values or keys look like although the route says otherwise. */
void sample_print_guesses(const struct config_route *route, const struct trial *t);

/* The words for them: "upsert"; what a value, or a key, looks like (NULL: nothing remarkable). */
const char *sample_action(enum row_action action);
const char *sample_like(enum guess guess, bool is_key);

#endif
