/*
 * A partition that begins again here: its worker lets go of it as if the group had taken it, then
 * it is planned, claimed and fetched as if it was newly assigned. The group has no part in it; but
 * it may take the partition meanwhile, and then it does not come back. Main thread.
 */
#include "sink/crew/crew_state.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static void begin_again(struct crew *c, const char *topic, int32_t number)
{
    const struct partition_ref ref = {.topic = topic, .partition = number};

    if (plan_takes(c->cc.plan, topic)) {
        crew_first_begin(c, partition_add(c, &ref));
    } else {
        crew_stranger_add(c, topic, number); /* until the group takes it */
    }
}

/* It has no worker yet: only what is asked for it is void. */
static void restart(struct crew *c, struct partition *p)
{
    _cleanup_mem_ char *topic = mem_strdup(p->topic);
    int32_t number = p->number;

    index_remove(&c->index, p->topic, p->number);
    partition_forget(c, p);
    begin_again(c, topic, number);
}

void crew_move_begin(struct crew *c, struct partition *p)
{
    if (p->worker == NULL) {
        restart(c, p);
        return;
    }
    index_remove(&c->index, p->topic, p->number);
    p->first_due = p->range_due = false;
    partition_set(p, PARTITION_RELEASING);
    p->moves = true;
    c->moving++;
    worker_post(p->worker, partition_order(p, ORDER_RELEASE));
}

void crew_move_over(struct crew *c, struct partition *p)
{
    p->moves = false;
    c->moving--;
}

void crew_move_again(struct crew *c, struct partition *p)
{
    _cleanup_mem_ char *topic = mem_strdup(p->topic);
    int32_t number = p->number;

    crew_move_over(c, p);
    partition_forget(c, p);
    begin_again(c, topic, number);
}

struct partition *crew_move_find(const struct crew *c, const struct partition_ref *ref)
{
    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        if (p->moves && p->number == ref->partition && strcmp(p->topic, ref->topic) == 0) {
            return p;
        }
    }
    return NULL;
}
