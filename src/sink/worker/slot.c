/*
 * A slot's life. slot_set lets through what is drawn here and aborts on all else. Worker thread.
 *
 *                      +--------------------------------------------------------+
 *                      |                  (adopted again)                       |
 *                      v                                                        |
 *     (new) ----> CLAIMING <----> UNKNOWN                                       |
 *                      |  \                                                     |
 *                      |   +------------------------------+                     |
 *                      v                                  v                     |
 *       +--------> WAITING -----> READING ------------> LOST -------------------+
 *       |              |             |   (claimed by another)
 *       |              |             |
 *       +--------------+-------------+   (moved: operator, failover, gap)
 *       |              v             v
 *       +---------- STOPPED <--------+   (it stands; also from CLAIMING)
 *
 *     any state but RELEASING itself ----> RELEASING ----> (freed)
 */
#include "sink/worker/slot.h"

#include "base/base.h"

#include <assert.h>

#define TO(state) (1U << (state))

static const unsigned ALLOWED[] = {
    [SLOT_CLAIMING] = TO(SLOT_UNKNOWN) | TO(SLOT_WAITING) | TO(SLOT_STOPPED) | TO(SLOT_LOST) |
                      TO(SLOT_RELEASING),
    [SLOT_UNKNOWN] = TO(SLOT_CLAIMING) | TO(SLOT_RELEASING),
    [SLOT_WAITING] = TO(SLOT_WAITING) | TO(SLOT_READING) | TO(SLOT_STOPPED) | TO(SLOT_LOST) |
                     TO(SLOT_RELEASING),
    [SLOT_READING] = TO(SLOT_WAITING) | TO(SLOT_STOPPED) | TO(SLOT_LOST) | TO(SLOT_RELEASING),
    [SLOT_STOPPED] = TO(SLOT_WAITING) | TO(SLOT_LOST) | TO(SLOT_RELEASING),
    [SLOT_LOST] = TO(SLOT_CLAIMING) | TO(SLOT_RELEASING),
    [SLOT_RELEASING] = 0,
};

static const char *const NAMES[] = {
    [SLOT_CLAIMING] = "claiming",   [SLOT_UNKNOWN] = "unknown", [SLOT_WAITING] = "waiting",
    [SLOT_READING] = "reading",     [SLOT_STOPPED] = "stopped", [SLOT_LOST] = "lost",
    [SLOT_RELEASING] = "releasing",
};

void slot_set(struct slot *s, enum slot_state state)
{
    assert(ALLOWED[s->state] & TO(state));
    s->state = state;
}

const char *slot_state_name(enum slot_state state)
{
    return NAMES[state];
}

bool slot_owns(const struct slot *s)
{
    return s->state == SLOT_WAITING || s->state == SLOT_READING || s->state == SLOT_STOPPED;
}
