/*
 * What the library logs, on its way to main. Private to kafka/.
 *
 * `debug=topic` is always on, for one kind of line (kafka/events.c:event_read_doubt), and brings
 * several lines for each change of each partition. They come by a callback in the library's
 * threads, which drops those that nobody wants. The library's own way, log.queue, puts each into
 * the queue of events by its priority, which it does by walking over all that are there: when main
 * did not take any for a moment, its own main thread spent minutes on the lines of 10,000
 * partitions.
 */
#ifndef KAFKA_LINES_H
#define KAFKA_LINES_H

#include "base/mailbox.h"

#include <stdatomic.h>

/* Of lines that are only for people; those that come while so many wait are dropped. */
#define LINES_MOST 10000
/* Of any, doubts included, which come again as long as their cause lasts. */
#define DOUBTS_MOST (10 * LINES_MOST)

struct line {
    struct mail mail;
    int level; /* syslog's number */
    bool is_doubt;
    bool is_warning; /* of properties, when the consumer is made */
    char text[512];  /* facility: text */
};

struct lines {
    struct mailbox box;
    struct mail *taken; /* main's: what it has not given away yet */
    _Atomic size_t waiting;
    int wake_fd; /* an eventfd, borrowed */
};

void lines_init(struct lines *l, int wake_fd);
void lines_done(struct lines *l);

/* Keeps it if somebody wants it: what may be a doubt, a warning about properties, or, while people
 * see debug lines, any; and if not too many wait. Writes to wake_fd then. @thread any */
void lines_add(struct lines *l, int level, const char *facility, const char *text);

/* The oldest, to be freed; NULL: none. @thread main */
struct line *lines_take(struct lines *l) _must_;

#endif
