/*
 * The one queue between threads. Posting moves the ownership of a node in; taking moves all nodes
 * out, in order. An eventfd wakes a reader that polls. The mutex is held for a few assignments and
 * never while anything is called: it is the only lock class of the program, so there is no lock
 * order to break.
 *
 * Any thread posts; one thread takes.
 */
#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H

#include "base/base.h"

#include <pthread.h>

/* The first member of what is posted. */
struct mail {
    struct mail *next;
};

struct mailbox {
    pthread_mutex_t lock;
    struct mail *head;
    struct mail *tail;
    int fd; /* eventfd, non-blocking: readable when mail may be waiting */
};

void mailbox_init(struct mailbox *m);
void mailbox_done(struct mailbox *m); /* must be empty */

/* The mailbox takes ownership of the structure whose first member node is. */
void mailbox_post(struct mailbox *m, struct mail *node);

/* All waiting nodes, oldest first, linked by next; NULL when empty. Clears the eventfd first. */
struct mail *mailbox_take(struct mailbox *m);

#endif
