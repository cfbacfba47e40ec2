/* See nudge.h. A thread of its own; nudge_ask is called from any. */
#include "kafka/nudge.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* Longest wait for an answer, which nobody needs; a broker that is down is not asleep. */
#define ANSWER_MS 200
#define SELF_WAKING_VERSION 0x02020000

struct nudge {
    rd_kafka_t *rk;
    struct thread thread;
    pthread_mutex_t mutex;
    pthread_cond_t asked;
    struct nudge_list list; /* under the mutex, as is stop */
    bool stop;
};

void nudge_list_add(struct nudge_list *l, int32_t broker, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->brokers[i].id == broker) {
            return;
        }
    }
    if (l->count < NUDGE_BROKERS) {
        struct nudge_broker *b = &l->brokers[l->count++];
        b->id = broker;
        b->partition = partition;
        snprintf(b->topic, sizeof b->topic, "%s", topic);
    }
}

void nudge_ask(struct nudge *n, const struct nudge_list *l)
{
    thread_lock(&n->mutex);
    for (size_t i = 0; i < l->count; i++) {
        const struct nudge_broker *b = &l->brokers[i];
        nudge_list_add(&n->list, b->id, b->topic, b->partition);
    }
    pthread_cond_signal(&n->asked);
    thread_unlock(&n->mutex);
}

/* Asks where partitions end; the answer does not matter. */
static void send_requests(rd_kafka_t *rk, const struct nudge_list *l)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int) l->count);

    for (size_t i = 0; i < l->count; i++) {
        const struct nudge_broker *b = &l->brokers[i];
        rd_kafka_topic_partition_list_add(list, b->topic, b->partition)->offset =
            RD_KAFKA_OFFSET_END;
    }
    (void) rd_kafka_offsets_for_times(rk, list, ANSWER_MS);
    rd_kafka_topic_partition_list_destroy(list);
}

/* False: time to end. */
static bool wait_for_list(struct nudge *n, struct nudge_list *out)
{
    thread_lock(&n->mutex);
    while (n->list.count == 0 && !n->stop) {
        pthread_cond_wait(&n->asked, &n->mutex);
    }
    *out = n->list;
    n->list.count = 0;
    bool go_on = !n->stop;
    thread_unlock(&n->mutex);
    return go_on;
}

static void run(void *arg)
{
    struct nudge *n = arg;
    struct nudge_list list;

    while (wait_for_list(n, &list)) {
        send_requests(n->rk, &list);
    }
}

struct nudge *nudge_new(rd_kafka_t *rk)
{
    if (rd_kafka_version() >= SELF_WAKING_VERSION) {
        return NULL;
    }
    struct nudge *n = mem_zalloc(sizeof *n);
    n->rk = rk;
    pthread_mutex_init(&n->mutex, NULL);
    pthread_cond_init(&n->asked, NULL);
    thread_start(&n->thread, "nudge", run, n);
    return n;
}

struct nudge *nudge_free(struct nudge *n)
{
    if (n != NULL) {
        thread_lock(&n->mutex);
        n->stop = true;
        pthread_cond_signal(&n->asked);
        thread_unlock(&n->mutex);
        thread_join(&n->thread);
        pthread_cond_destroy(&n->asked);
        pthread_mutex_destroy(&n->mutex);
        free(n);
    }
    return NULL;
}
