/*
 * Named places where tests make the program crash or fail. Compiled out (constant false, no code)
 * unless built with -Dfailpoints=true. Armed by the environment, which is read at start:
 *     PGSINKD_FAILPOINTS="txn.mid_copy=crash@3,txn.before_commit=error"
 * crash = _exit(99) at the N-th hit (default: the first); error = failpoint_hit returns true at
 * that hit, and at no other. An unknown name or action ends the program: a test that arms nothing
 * proves nothing. The names are listed in failpoint.def.
 *
 * Also times that tests set, in milliseconds; the names are listed in failtime.def:
 *     PGSINKD_FAILTIMES="refused_pause=200"
 * And where journald listens: PGSINKD_JOURNAL.
 * Any thread.
 */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

#include "base/clock.h"

enum failpoint {
#define FAILPOINT(id, name, where) FAILPOINT_##id,
#include "base/failpoint.def"
#undef FAILPOINT
    FAILPOINT_COUNT,
};

enum failtime {
#define FAILTIME(id, name, what) FAILTIME_##id,
#include "base/failtime.def"
#undef FAILTIME
    FAILTIME_COUNT,
};

#ifdef PGSINKD_FAILPOINTS
/* Arms what the environment names. @thread main, before the others start */
void failpoint_init(void);

/* The program has reached this place: crashes, or says whether to fail here. */
bool failpoint_hit(enum failpoint f);

/* The time that the environment has set, or else the usual one. */
usec_t failpoint_time(enum failtime t, usec_t usual);

/* Where journald listens: what PGSINKD_JOURNAL names, or else the usual path. */
const char *failpoint_journal(const char *usual);
#else
static inline void failpoint_init(void)
{
}
static inline bool failpoint_hit(enum failpoint f)
{
    (void) f;
    return false;
}
static inline usec_t failpoint_time(enum failtime t, usec_t usual)
{
    (void) t;
    return usual;
}
static inline const char *failpoint_journal(const char *usual)
{
    return usual;
}
#endif

#endif
