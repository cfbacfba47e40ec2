/*
 * Partitions that this sink subscribes to and no member of its group reads: since when, and what is
 * to be said of them. Pure: what is missing comes from outside, and so does the time. Main thread.
 */
#ifndef SINK_CREW_UNREAD_H
#define SINK_CREW_UNREAD_H

#include "base/buf.h"
#include "base/clock.h"

struct unread;

struct unread *unread_new(void) _must_;
struct unread *unread_free(struct unread *u); /* NULL is fine; returns NULL */

/*
 * One look at the group: begin, every partition that is missing, end. What was missing before and
 * is not any more is forgotten at the end. now: monotonic.
 */
void unread_begin(struct unread *u);
void unread_add(struct unread *u, const char *topic, int32_t partition, usec_t now);
void unread_end(struct unread *u);

struct unread_news {
    char topic[250];
    bool read_again; /* it was reported, and nothing of it is missing now */
    char partitions[200];
};

/*
 * What is to be said now: a topic of which partitions have been missing for a minute, again after
 * ten; and one that was reported and is read again. False: nothing more.
 */
bool unread_next(struct unread *u, usec_t now, struct unread_news *out);

#endif
