/*
 * Where partitions end, asked every 10 s: for lag, and as a sign that a log may be another one.
 * While there is nothing to ask about, whether the brokers can be reached at all. Main thread.
 */
#include "sink/crew/crew_state.h"

#define ENDS_INTERVAL (10 * USEC_PER_SEC)

static bool end_is_due(const struct partition *p)
{
    bool owned = p->state == PARTITION_FETCHING || p->state == PARTITION_STOPPED ||
                 p->state == PARTITION_GAPPED;

    return owned && p->worker != NULL;
}

void crew_ends_ask(struct crew *c, usec_t now)
{
    if (c->asking_ends || now < c->ends_at) {
        return;
    }
    c->ends_at = now + ENDS_INTERVAL;
    struct scout_mail *m = crew_ask_about(c, SCOUT_ENDS, end_is_due);
    if (m == NULL) {
        crew_ask_ping(c);
    } else {
        c->asking_ends = true;
        scout_ask(c->cc.scout, m);
    }
}

void crew_ends_answer(struct crew *c, const struct scout_mail *m)
{
    c->asking_ends = false;
    for (size_t i = 0; i < m->ref_count && !m->failed; i++) {
        struct partition *p = crew_ask_wanted(c, m, i);
        if (p != NULL && m->refs[i].offset >= 0) {
            atomic_store_explicit(&p->share.end, m->refs[i].offset, memory_order_relaxed);
            crew_verify_end(c, p, m->refs[i].offset);
        }
    }
}

usec_t crew_ends_deadline(const struct crew *c)
{
    return c->asking_ends ? USEC_NEVER : c->ends_at; /* an answer wakes by itself */
}
