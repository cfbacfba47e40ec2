/*
 * Memory with one lifetime: everything handed out is gone at the next reset. Blocks are kept for
 * reuse up to a limit, so that a steady state allocates nothing. The arena owns what it hands out.
 * One thread at a time.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/base.h"
#include "base/str.h"

struct arena_block;

struct arena {
    struct arena_block *head; /* the block being filled */
    size_t used;              /* bytes handed out since the last reset, rounded up to 16 each */
};

void *arena_alloc(struct arena *a, size_t size) _must_;      /* aligned to 16; not zeroed */
struct str arena_copy(struct arena *a, struct str s) _must_; /* absent stays absent */
void arena_reset(struct arena *a);                           /* keeps one block */
void arena_done(struct arena *a);                            /* usable again, and empty */

#endif
