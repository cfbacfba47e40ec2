/*
 * Failpoints and the times that tests set, only in builds with -Dfailpoints=true. The tables are
 * filled before threads start; after that only the countdowns change, and they are atomic. Any
 * thread.
 */
#include "base/failpoint.h"

#ifdef PGSINKD_FAILPOINTS

#include "base/str.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FAILPOINT_EXIT = 99, USAGE_EXIT = 2 };

enum action { ACTION_NONE, ACTION_CRASH, ACTION_ERROR };

static struct {
    enum action action;
    _Atomic uint64_t left; /* hits until it acts */
} points[FAILPOINT_COUNT];

static const char *const names[] = {
#define FAILPOINT(id, name, where) [FAILPOINT_##id] = (name),
#include "base/failpoint.def"
#undef FAILPOINT
};

static usec_t times[FAILTIME_COUNT]; /* 0: not set */

static const char *const time_names[] = {
#define FAILTIME(id, name, what) [FAILTIME_##id] = (name),
#include "base/failtime.def"
#undef FAILTIME
};

_noreturn_ static void refuse(const char *variable, struct str entry)
{
    fprintf(stderr, "pgsinkd: %s: cannot understand '" STR_FMT "'\n", variable, STR_ARG(entry));
    exit(USAGE_EXIT);
}

/* Cuts *rest at the first sep: returns what is before it, leaves what is after it. */
static struct str cut(struct str *rest, char sep)
{
    const char *at = rest->n > 0 ? memchr(rest->p, sep, rest->n) : NULL;
    size_t n = at != NULL ? (size_t) (at - rest->p) : rest->n;
    struct str first = {.p = rest->p, .n = n};
    size_t skip = at != NULL ? n + 1 : n;

    rest->p += skip;
    rest->n -= skip;
    return first;
}

static enum action action_parse(struct str text)
{
    if (str_eq_z(text, "crash")) {
        return ACTION_CRASH;
    }
    return str_eq_z(text, "error") ? ACTION_ERROR : ACTION_NONE;
}

/* One entry: name=action or name=action@N */
static void arm(struct str entry)
{
    struct str count = entry;
    struct str action_text = cut(&count, '@');
    bool counted = action_text.n < entry.n;
    struct str name = cut(&action_text, '=');
    enum action action = action_parse(action_text);
    uint64_t hits = 1;
    size_t f = 0;

    while (f < FAILPOINT_COUNT && !str_eq_z(name, names[f])) {
        f++;
    }
    if (f == FAILPOINT_COUNT || action == ACTION_NONE ||
        (counted && (!str_to_u64(count, &hits) || hits == 0))) {
        refuse("PGSINKD_FAILPOINTS", entry);
    }
    points[f].action = action;
    atomic_store(&points[f].left, hits);
}

/* One entry: name=milliseconds */
static void set_time(struct str entry)
{
    struct str text = entry;
    struct str name = cut(&text, '=');
    uint64_t msec = 0;
    size_t t = 0;

    while (t < FAILTIME_COUNT && !str_eq_z(name, time_names[t])) {
        t++;
    }
    if (t == FAILTIME_COUNT || !str_to_u64(text, &msec) || msec == 0) {
        refuse("PGSINKD_FAILTIMES", entry);
    }
    times[t] = msec * USEC_PER_MSEC;
}

void failpoint_init(void)
{
    struct str rest = str_of(getenv("PGSINKD_FAILPOINTS"));

    while (rest.n > 0) {
        arm(cut(&rest, ','));
    }
    rest = str_of(getenv("PGSINKD_FAILTIMES"));
    while (rest.n > 0) {
        set_time(cut(&rest, ','));
    }
}

usec_t failpoint_time(enum failtime t, usec_t usual)
{
    return times[t] != 0 ? times[t] : usual;
}

const char *failpoint_journal(const char *usual)
{
    const char *path = getenv("PGSINKD_JOURNAL");

    return path != NULL ? path : usual;
}

bool failpoint_hit(enum failpoint f)
{
    if (points[f].action == ACTION_NONE) {
        return false;
    }
    /* Below 0 the counter wraps to a number that no run can count down again. */
    if (atomic_fetch_sub(&points[f].left, 1) != 1) {
        return false;
    }
    if (points[f].action == ACTION_CRASH) {
        _exit(FAILPOINT_EXIT); /* as kill -9 does: no flush, no handler, no destructor */
    }
    return true;
}

#endif
