/*
 * Named places where tests make the program crash or fail. Compiled out (constant false, no code)
 * unless built with -Dfailpoints=true. Armed by the environment, read once at start:
 *     PGSINKD_FAILPOINTS="txn.mid_copy=crash@3,txn.before_commit=error"
 * crash = _exit(99) at the N-th hit (default 1st); error = failpoint_hit returns true at that hit,
 * once. An unknown name or action ends the program: a test that arms nothing proves nothing. The
 * list of names is failpoint.def. Any thread.
 */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

#include "base/base.h"

enum failpoint {
#define FAILPOINT(id, name, where) FAILPOINT_##id,
#include "base/failpoint.def"
#undef FAILPOINT
    FAILPOINT_COUNT,
};

#ifdef PGSINKD_FAILPOINTS
void failpoint_init(void);
bool failpoint_hit(enum failpoint f);
#else
static inline void failpoint_init(void)
{
}
static inline bool failpoint_hit(enum failpoint f)
{
    (void) f;
    return false;
}
#endif

#endif
