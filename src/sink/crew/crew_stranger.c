/*
 * Partitions that the group has given to this member and that no route takes: a static member got
 * its old assignment, or the topic was taken out by a reload and the group has not heard of it yet.
 * They are no partitions of the crew (invariant I10), only remembered: if a later reload has a
 * route for them before the group takes them away, the group has nothing to say of them any more,
 * since the assignment stays the same. Then they begin here. Main thread.
 */
#include "sink/crew/crew_state.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static size_t find(const struct crew *c, const char *topic, int32_t number)
{
    size_t i = 0;

    while (i < c->stranger_count &&
           (c->strangers[i].partition != number || strcmp(c->strangers[i].topic, topic) != 0)) {
        i++;
    }
    return i;
}

static void drop(struct crew *c, size_t at)
{
    free((void *) (uintptr_t) c->strangers[at].topic);
    c->strangers[at] = c->strangers[--c->stranger_count];
}

void crew_stranger_add(struct crew *c, const char *topic, int32_t number)
{
    if (find(c, topic, number) < c->stranger_count) {
        return;
    }
    c->strangers = mem_grow(c->strangers, &c->stranger_cap, c->stranger_count,
                            sizeof *c->strangers);
    c->strangers[c->stranger_count++] = (struct partition_ref){
        .topic = mem_strdup(topic), .partition = number, .offset = -1};
}

void crew_stranger_revoked(struct crew *c, const struct partition_ref *ref)
{
    size_t at = find(c, ref->topic, ref->partition);

    if (at < c->stranger_count) {
        drop(c, at);
    }
}

void crew_stranger_begin(struct crew *c)
{
    for (size_t i = c->stranger_count; i-- > 0;) {
        const struct partition_ref *ref = &c->strangers[i];
        if (plan_takes(c->cc.plan, ref->topic)) {
            if (index_find(&c->index, ref->topic, ref->partition) == NULL) {
                crew_first_begin(c, partition_add(c, ref));
            }
            drop(c, i);
        }
    }
}

void crew_stranger_done(struct crew *c)
{
    while (c->stranger_count > 0) {
        drop(c, c->stranger_count - 1);
    }
    free(TAKE_PTR(c->strangers));
}
