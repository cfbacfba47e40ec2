/* See replayer.h. Main thread. */
#include "sink/crew/replayer.h"

#include "base/mem.h"

#include <stdlib.h>

/* If a chunk takes longer, the next has half as many letters: others need the scout, too. */
#define CHUNK_TIME USEC_PER_SEC
/* When marks are left: another daemon has these letters under way, or their table cannot be used.
 */
#define AGAIN_AFTER (10 * USEC_PER_SEC)

void replayer_init(struct replayer *r, bool able, size_t route_count)
{
    *r = (struct replayer){
        .able = able,
        .wanted = true,
        .again_at = USEC_NEVER,
        .at = {.limit = REPLAY_LETTERS},
        .fault_count = route_count + 2, /* the last one: after letters of no route */
    };
    r->faults = mem_array(r->fault_count, sizeof *r->faults);
}

void replayer_done(struct replayer *r)
{
    free(r->faults);
    r->faults = NULL;
}

/* An answer that is still to come may name a place of before: then its route is passed, and comes
 * in the replay after that. */
void replayer_reload(struct replayer *r, bool able, size_t route_count)
{
    r->able = able;
    free(r->faults);
    r->fault_count = route_count + 2;
    r->faults = mem_array(r->fault_count, sizeof *r->faults);
    r->wanted = true;
}

void replayer_want(struct replayer *r)
{
    r->wanted = true;
}

static void begin(struct replayer *r)
{
    r->wanted = false;
    r->under_way = true;
    r->again_at = USEC_NEVER;
    r->at.route = 0;
    r->stored = r->failed = 0;
}

struct scout_mail *replayer_turn(struct replayer *r, usec_t now)
{
    if (now >= r->again_at) {
        r->again_at = USEC_NEVER;
        r->wanted = true;
    }
    if (!r->able || r->asking || (!r->under_way && !r->wanted)) {
        return NULL;
    }
    if (!r->under_way) {
        begin(r);
    }
    struct scout_mail *m = scout_mail_new(SCOUT_REPLAY, 0);
    m->replay = (struct replay){.route = r->at.route, .limit = r->at.limit};
    r->asking = true;
    r->asked_at = now;
    return m;
}

usec_t replayer_deadline(const struct replayer *r)
{
    return r->able ? r->again_at : USEC_NEVER;
}

/* As many letters as a chunk's time allows. */
static uint32_t next_limit(uint32_t limit, bool failed, usec_t took)
{
    return failed || took > CHUNK_TIME ? MAX(limit / 2, 1U) : MIN(limit * 2, REPLAY_LETTERS);
}

static void log_trouble(struct replayer *r, const struct error *err)
{
    uint64_t held_back;

    if (err->class == ERROR_LINK) {
        log_event(LOG(replay_waits), err->text); /* workers have lost theirs too */
    } else if (log_limit_pass(&r->trouble, &held_back)) {
        log_event(LOG(replay_trouble), err->text);
    }
}

/* A route that cannot be stored to is tried again and again, so its lines are limited. */
static void log_refusal(struct replayer *r, const struct error *err)
{
    uint64_t held_back;

    if (log_limit_pass(&r->faults[MIN(r->at.route, r->fault_count - 1)], &held_back)) {
        log_fault(LOG_replay_refused, err);
    }
}

static void finish(struct replayer *r, usec_t now)
{
    r->under_way = false;
    if (r->stored + r->failed > 0) {
        log_event(LOG(replay_done), (unsigned long long) r->stored, (unsigned long long) r->failed);
    }
    if (r->at.left) {
        r->again_at = now + AGAIN_AFTER;
    }
}

void replayer_answer(struct replayer *r, const struct scout_mail *m, usec_t now)
{
    r->asking = false;
    r->at = m->replay;
    r->at.limit = next_limit(m->replay.limit, m->failed, now - r->asked_at);
    r->stored += m->replay.stored;
    r->failed += m->replay.failed;
    if (m->failed) {
        log_trouble(r, &m->error);
    } else if (m->error.class != ERROR_NONE) {
        log_refusal(r, &m->error);
    }
    if (r->at.over) {
        finish(r, now);
    }
}

bool replayer_is_idle(const struct replayer *r)
{
    return !r->able || (!r->wanted && !r->under_way);
}
