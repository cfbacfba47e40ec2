/*
 * Where partitions begin that the ledger does not know.
 *
 * kafka.start decides for what an entry of `topics` matches when the sink uses it for the first
 * time: the fact and a row for each of these partitions are written in one transaction, before any
 * of them is claimed. What the entry matches later (partitions that are added, topics that
 * appear) begins at its earliest record; otherwise what it held when it was noticed would be passed
 * without a word. Only a partition whose row was deleted by hand begins as kafka.start says, too.
 *
 * Without a ledger nobody can remember: there the group's offset decides, and kafka.start where it
 * has none. Main thread.
 */
#include "sink/crew/crew_state.h"

#include "base/log.h"
#include "base/mem.h"

#include <string.h>

#define USE_RETRY (2 * USEC_PER_SEC)

/* ---- the first use of an entry ---- */

static bool is_held_back(const struct crew *c, const struct partition *p)
{
    return entries_unused(c->cc.entries, c->cc.plan, p->topic) != NULL;
}

void crew_first_begin(struct crew *c, struct partition *p)
{
    p->held_back = is_held_back(c, p);
    if (!p->held_back) {
        crew_plan_begin(c, p);
    }
}

/* By an entry that is used already: a partition of such a topic without a row has come later. */
static bool is_taken(const struct crew *c, const char *topic)
{
    for (size_t i = 0; i < c->cc.entries->count; i++) {
        const struct entry *e = &c->cc.entries->items[i];
        if (e->used && plan_entry_takes(c->cc.plan, e->route, e->item, topic)) {
            return true;
        }
    }
    return false;
}

static bool is_first_used(const struct crew *c, const struct entry *entry, const char *topic)
{
    return plan_entry_takes(c->cc.plan, entry->route, entry->item, topic) && !is_taken(c, topic);
}

/* About all partitions that this entry matches, and no used one. */
static struct scout_mail *first_use(struct crew *c, const struct entry *entry,
                                    const struct lookup_topic *topics, size_t n)
{
    size_t room = 0;

    for (size_t i = 0; i < n; i++) {
        room += (size_t) MAX(topics[i].partition_count, 0);
    }
    struct scout_mail *m = scout_mail_new(SCOUT_FIRST_USE, room);
    for (size_t i = 0; i < n; i++) {
        bool takes = is_first_used(c, entry, topics[i].name);
        for (int k = 0; takes && k < topics[i].partition_count; k++) {
            scout_mail_add(m, topics[i].name, k, 0);
        }
    }
    _cleanup_buf_ struct buf reason = {0};
    buf_printf(&reason, "topics entry '%s' was used for the first time; kafka.start ", entry->text);
    config_print_start(c->cc.cfg, &reason);
    m->entry = mem_strdup(entry->text);
    m->reason = mem_strdup(buf_cstr(&reason));
    return m;
}

usec_t crew_first_deadline(const struct crew *c)
{
    bool asking = c->asking_use_topics || c->asking_use > 0;

    return asking || entries_all_used(c->cc.entries) ? USEC_NEVER : c->use_at;
}

void crew_first_ask(struct crew *c, usec_t now)
{
    if (now >= crew_first_deadline(c)) {
        c->asking_use_topics = true;
        scout_ask(c->cc.scout, scout_mail_new(SCOUT_TOPICS, 0));
    }
}

void crew_first_topics(struct crew *c, const struct scout_mail *m)
{
    if (!c->asking_use_topics) {
        return;
    }
    c->asking_use_topics = false;
    for (size_t i = 0; i < c->cc.entries->count && !m->failed; i++) {
        const struct entry *entry = &c->cc.entries->items[i];
        if (!entry->used) {
            c->asking_use++;
            scout_ask(c->cc.scout, first_use(c, entry, m->topics, m->topic_count));
        }
    }
}

static void note_used(struct crew *c, const char *text)
{
    for (size_t i = 0; i < c->cc.entries->count; i++) {
        struct entry *entry = &c->cc.entries->items[i];
        entry->used = entry->used || strcmp(entry->text, text) == 0;
    }
    for (size_t i = 0; i < c->count; i++) {
        struct partition *p = c->partitions[i];
        if (p->held_back && !is_held_back(c, p)) {
            p->held_back = false;
            crew_plan_begin(c, p);
        }
    }
}

void crew_first_answer_use(struct crew *c, const struct scout_mail *m)
{
    c->asking_use--;
    if (m->failed) {
        c->use_at = clock_mono() + USE_RETRY;
        if (!c->use_logged) {
            c->use_logged = true;
            log_event(LOG(entry_not_used), m->entry, m->error.text);
        }
        return;
    }
    for (size_t i = 0; i < m->ref_count; i++) {
        if (m->refs[i].offset >= 0) {
            const struct log_where at = {.topic = m->refs[i].topic,
                                         .partition = m->refs[i].partition,
                                         .offset = m->refs[i].offset};
            log_event_at(at, LOG(partition_begins), m->refs[i].topic, m->refs[i].partition,
                         (long long) m->refs[i].offset, m->reason);
        }
    }
    c->use_logged = false;
    note_used(c, m->entry);
}

/* ---- partitions without a row ---- */

void crew_first_unknown(struct partition *p, bool begun)
{
    p->start = START_NONE; /* its row was deleted in the middle of a start */
    p->first_due = true;
    p->by_start = begun;
}

static bool first_is_due(const struct partition *p)
{
    return p->first_due;
}

void crew_first_ask_offsets(struct crew *c)
{
    struct scout_mail *m = c->asking_first ? NULL : crew_ask_about(c, SCOUT_FIRST, first_is_due);

    if (m == NULL) {
        return;
    }
    for (size_t i = 0; i < m->ref_count; i++) {
        m->by_start[i] = crew_ask_wanted(c, m, i)->by_start;
    }
    c->asking_first = true;
    scout_ask(c->cc.scout, m);
}

/* The row's first_reason, and the log's. */
static const char *reason_of(const struct crew *c, const struct partition *p)
{
    static const char *const by_start[] = {
        [START_EARLIEST] = "its row was deleted; kafka.start earliest",
        [START_LATEST] = "its row was deleted; kafka.start latest",
        [START_TIME] = "its row was deleted; kafka.start is a time",
    };
    static const char *const by_group[] = {
        [START_EARLIEST] = "the group has no offset of it; kafka.start earliest",
        [START_LATEST] = "the group has no offset of it; kafka.start latest",
        [START_TIME] = "the group has no offset of it; kafka.start is a time",
    };

    if (!config_has_ledger(c->cc.cfg)) {
        return by_group[c->cc.cfg->kafka.start];
    }
    return p->by_start
               ? by_start[c->cc.cfg->kafka.start]
               : "it appeared after its entry of topics was first used: its earliest record";
}

void crew_first_answer(struct crew *c, const struct scout_mail *m)
{
    c->asking_first = false;
    for (size_t i = 0; i < m->ref_count && !m->failed; i++) {
        struct partition *p = crew_ask_wanted(c, m, i);
        if (p == NULL || !p->first_due || m->refs[i].offset < 0) {
            continue;
        }
        p->first_due = false;
        p->first_reason = reason_of(c, p);
        if (m->in_group[i]) {
            crew_commit_note(p, m->refs[i].offset);
        } else if (!config_has_ledger(c->cc.cfg)) {
            log_event_at(partition_at(p, m->refs[i].offset), LOG(partition_begins), p->topic,
                         p->number, (long long) m->refs[i].offset, p->first_reason);
        }
        partition_adopt(c, p, m->refs[i].offset);
    }
}
