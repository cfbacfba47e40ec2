/* Asking for a group, see group.h. Blocking, never retries. The scout's thread; once, main's. */
#include "kafka/group.h"

#include "base/mem.h"
#include "kafka/librdkafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPIC_MAX 249
#define UUID_LENGTH 36

/* ---- what a member's assignment says ---- */

struct reader {
    const uint8_t *p;
    size_t left;
};

/* A big-endian number of this many bytes; false: fewer are left. */
static bool take_number(struct reader *r, size_t bytes, int32_t *out)
{
    if (r->left < bytes) {
        return false;
    }
    uint32_t number = 0;
    for (size_t i = 0; i < bytes; i++) {
        number = number << 8 | r->p[i];
    }
    r->p += bytes;
    r->left -= bytes;
    *out = (int32_t) number;
    return true;
}

static bool take_name(struct reader *r, char name[TOPIC_MAX + 1])
{
    int32_t size;

    if (!take_number(r, 2, &size) || size < 0 || size > TOPIC_MAX || (size_t) size > r->left) {
        return false;
    }
    memcpy(name, r->p, (size_t) size);
    name[size] = '\0';
    r->p += size;
    r->left -= (size_t) size;
    return true;
}

static void add(struct group_held *held, const char *topic, int32_t partition)
{
    held->refs = mem_grow(held->refs, &held->cap, held->count, sizeof *held->refs);
    held->refs[held->count++] = (struct partition_ref){
        .topic = mem_strdup(topic), .partition = partition, .offset = -1};
}

static bool take_topic(struct reader *r, struct group_held *held)
{
    char name[TOPIC_MAX + 1];
    int32_t count;
    int32_t partition;

    if (!take_name(r, name) || !take_number(r, 4, &count)) {
        return false;
    }
    for (int32_t i = 0; i < count; i++) {
        if (!take_number(r, 4, &partition)) {
            return false;
        }
        add(held, name, partition);
    }
    return true;
}

/* int16 version; int32 number of topics, then for each its name and the numbers of its partitions;
 * what follows is not needed. */
void group_held_add(struct group_held *held, const void *assignment, size_t size)
{
    struct reader r = {.p = assignment, .left = size};
    int32_t version;
    int32_t topics;

    if (!take_number(&r, 2, &version) || !take_number(&r, 4, &topics)) {
        return; /* a member without partitions */
    }
    for (int32_t i = 0; i < topics && take_topic(&r, held); i++) {
    }
}

void group_held_free(struct partition_ref *refs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((void *) (uintptr_t) refs[i].topic);
    }
    free(refs);
}

/* ---- the group ---- */

static int compare(const void *a, const void *b)
{
    const struct partition_ref *x = a;
    const struct partition_ref *y = b;
    int order = strcmp(x->topic, y->topic);

    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

bool group_holds(const struct partition_ref *held, size_t n, const char *topic, int32_t partition)
{
    struct partition_ref ref = {.topic = topic, .partition = partition};

    return n > 0 && bsearch(&ref, held, n, sizeof ref, compare) != NULL;
}

static void take_held(const struct rd_kafka_group_info *group, struct partition_ref **out,
                      size_t *out_n)
{
    struct group_held held = {0};

    for (int i = 0; i < group->member_cnt; i++) {
        const struct rd_kafka_group_member_info *m = &group->members[i];
        group_held_add(&held, m->member_assignment, (size_t) m->member_assignment_size);
    }
    if (held.count > 0) {
        qsort(held.refs, held.count, sizeof *held.refs, compare);
    }
    *out = held.refs;
    *out_n = held.count;
}

static enum group_state state_of(const struct rd_kafka_group_info *group)
{
    if (group->err != RD_KAFKA_RESP_ERR_NO_ERROR || strcmp(group->protocol_type, "consumer") != 0) {
        return GROUP_UNKNOWN;
    }
    return strcmp(group->state, "Stable") == 0 ? GROUP_STABLE : GROUP_UNSETTLED;
}

/* "orders-1-" and a UUID. */
bool group_is_instance(const char *member_id, const char *instance_id)
{
    size_t n = strlen(instance_id);

    return strlen(member_id) == n + 1 + UUID_LENGTH && strncmp(member_id, instance_id, n) == 0 &&
           member_id[n] == '-';
}

bool group_holder(struct client *c, const char *name, const char *instance_id, char *out,
                  size_t size, usec_t timeout)
{
    const struct rd_kafka_group_list *list = NULL;
    bool found = false;

    (void) rd_kafka_list_groups(c->rk, name, &list, (int) (timeout / USEC_PER_MSEC));
    for (int g = 0; list != NULL && g < list->group_cnt; g++) {
        const struct rd_kafka_group_info *group = &list->groups[g];
        for (int i = 0; i < group->member_cnt && !found; i++) {
            found = group_is_instance(group->members[i].member_id, instance_id);
            if (found) {
                const char *host = group->members[i].client_host;
                snprintf(out, size, "host %s", host[0] == '/' ? host + 1 : host);
            }
        }
    }
    if (list != NULL) {
        rd_kafka_group_list_destroy(list);
    }
    return found;
}

enum group_state group_ask(struct client *c, const char *name, struct partition_ref **out,
                           size_t *out_n, usec_t timeout)
{
    const struct rd_kafka_group_list *list = NULL;
    rd_kafka_resp_err_t code = rd_kafka_list_groups(c->rk, name, &list,
                                                    (int) (timeout / USEC_PER_MSEC));
    /* Partial: some broker has not answered, but the group's coordinator has. */
    bool ok = code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR__PARTIAL;
    enum group_state state = GROUP_UNKNOWN;

    if (ok && list->group_cnt == 1) {
        state = state_of(&list->groups[0]);
    }
    if (state == GROUP_STABLE) {
        take_held(&list->groups[0], out, out_n);
    }
    if (list != NULL) {
        rd_kafka_group_list_destroy(list);
    }
    return state;
}
