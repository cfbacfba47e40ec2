/*
 * Wrappers of pthread: what cannot fail in a correct program aborts if it does. The name of a
 * thread is its own copy in thread-local storage, so that the log can use it without a lock. Any
 * thread.
 */
#include "base/thread.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static _Thread_local char own_name[sizeof((struct thread *) NULL)->name] = "main";

static void *thread_main(void *arg)
{
    struct thread *t = arg;

    memcpy(own_name, t->name, sizeof own_name);
    pthread_setname_np(pthread_self(), own_name); /* only for people: a failure does not matter */
    t->body(t->arg);
    return NULL;
}

void thread_start(struct thread *t, const char *name, void (*body)(void *arg), void *arg)
{
    sigset_t all;
    sigset_t before;

    t->body = body;
    t->arg = arg;
    snprintf(t->name, sizeof t->name, "%s", name);

    /*
     * The new thread inherits the mask: blocking here, and not in thread_main, leaves no moment in
     * which a signal could be delivered to it.
     */
    sigfillset(&all);
    int rc = pthread_sigmask(SIG_SETMASK, &all, &before);
    assert(rc == 0);
    rc = pthread_create(&t->id, NULL, thread_main, t);
    assert(rc == 0);
    rc = pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert(rc == 0);
}

void thread_join(struct thread *t)
{
    int rc = pthread_join(t->id, NULL);

    assert(rc == 0);
}

void thread_detach(struct thread *t)
{
    int rc = pthread_detach(t->id);

    assert(rc == 0);
}

/*
 * Polls, by the monotonic clock: pthread_timedjoin_np measures wall time, which may be set while we
 * wait, and only glibc has a variant that does not. It is called only when the process ends.
 */
bool thread_join_until(struct thread *t, uint64_t timeout_usec)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    usec_t start = clock_mono();

    for (;;) {
        int rc = pthread_tryjoin_np(t->id, NULL);
        if (rc == 0) {
            return true;
        }
        assert(rc == EBUSY);
        if (clock_mono() - start >= timeout_usec) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
}

const char *thread_name(void)
{
    return own_name;
}

void thread_lock(pthread_mutex_t *m)
{
    int rc = pthread_mutex_lock(m);

    assert(rc == 0);
}

void thread_unlock(pthread_mutex_t *m)
{
    int rc = pthread_mutex_unlock(m);

    assert(rc == 0);
}

void thread_own(struct thread_owner *o)
{
    o->id = pthread_self();
    o->set = true;
}

void thread_assert_owner(const struct thread_owner *o)
{
    assert(o->set && pthread_equal(o->id, pthread_self()));
}
