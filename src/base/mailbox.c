/*
 * A list under a mutex, and an eventfd. Why no wake-up is lost:
 *
 *     poster                         reader
 *     lock, append, unlock           read(fd): back to 0
 *     write(fd): readable            lock, take all, unlock
 *
 * The poster makes the descriptor readable after the append, the reader clears it before the take.
 * What is appended too late for a take is therefore signalled after the clearing before that take,
 * and the reader's next poll returns. The price is that a poll sometimes wakes for an empty box.
 * Any thread posts; one takes.
 */
#include "base/mailbox.h"

#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

void mailbox_init(struct mailbox *m)
{
    *m = (struct mailbox){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    assert(m->fd >= 0);
    int rc = pthread_mutex_init(&m->lock, NULL);
    assert(rc == 0);
}

void mailbox_done(struct mailbox *m)
{
    assert(m->head == NULL);
    int rc = pthread_mutex_destroy(&m->lock);
    assert(rc == 0);
    close(m->fd);
    m->fd = -1;
}

void mailbox_post(struct mailbox *m, struct mail *node)
{
    const uint64_t one = 1;

    node->next = NULL;
    thread_lock(&m->lock);
    if (m->tail != NULL) {
        m->tail->next = node;
    } else {
        m->head = node;
    }
    m->tail = node;
    thread_unlock(&m->lock);

    ssize_t n = write(m->fd, &one, sizeof one);
    assert(n == sizeof one || errno == EAGAIN); /* EAGAIN: 2^64 - 2 unread posts, readable anyway */
}

struct mail *mailbox_take(struct mailbox *m)
{
    uint64_t posts;

    ssize_t n = read(m->fd, &posts, sizeof posts);
    assert(n == sizeof posts || errno == EAGAIN); /* EAGAIN: nothing was posted since */

    thread_lock(&m->lock);
    struct mail *all = m->head;
    m->head = NULL;
    m->tail = NULL;
    thread_unlock(&m->lock);
    return all;
}
