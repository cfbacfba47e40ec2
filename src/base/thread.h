/*
 * Wrappers of pthread that cannot fail: an error here is a bug and aborts. Names are visible in ps
 * -L and in the log. Any thread.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include "base/base.h"

#include <pthread.h>

struct thread {
    pthread_t id;
    char name[16];
    void (*body)(void *arg);
    void *arg;
};

/* Starts body(arg) in a new thread, in which all signals are blocked. t must stay until the thread
 * is joined; the name is copied, and cut to 15 characters. */
void thread_start(struct thread *t, const char *name, void (*body)(void *arg), void *arg);
void thread_join(struct thread *t);

/* Instead of a join: t must stay until body is entered, and what body needs until it returns.
 * @thread the one that started it, which owns t until then */
void thread_detach(struct thread *t);

/* Joins the thread if it ends in time; false: it has not ended, and keeps running. */
bool thread_join_until(struct thread *t, uint64_t timeout_usec) _must_;

/* The calling thread's name, "main" by default. */
const char *thread_name(void);

void thread_lock(pthread_mutex_t *m);
void thread_unlock(pthread_mutex_t *m);

/* An owner mark for structures of one thread: asserts that the caller is that thread. */
struct thread_owner {
    pthread_t id;
    bool set;
};
void thread_own(struct thread_owner *o); /* the calling thread becomes the owner */
void thread_assert_owner(const struct thread_owner *o);

#endif
