/*
 * C11 threads by way of POSIX threads, linked into every program that is built with
 * ThreadSanitizer. librdkafka uses C11 threads, which the sanitizer does not see before LLVM 18 and
 * GCC 14: a thread made behind its back crashes it, and locks it does not see look like races.
 * glibc's own functions do exactly this, and its types are the same. Never in another build.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

struct start {
    thrd_start_t body;
    void *arg;
};

static int answer(int rc)
{
    switch (rc) {
    case 0:
        return thrd_success;
    case ENOMEM:
        return thrd_nomem;
    case ETIMEDOUT:
        return thrd_timedout;
    case EBUSY:
        return thrd_busy;
    default:
        return thrd_error;
    }
}

static void *run(void *p)
{
    struct start start = *(struct start *) p;

    free(p);
    return (void *) (intptr_t) start.body(start.arg);
}

int thrd_create(thrd_t *out, thrd_start_t body, void *arg)
{
    struct start *start = malloc(sizeof *start);

    if (start == NULL) {
        return thrd_nomem;
    }
    *start = (struct start){.body = body, .arg = arg};
    int rc = pthread_create(out, NULL, run, start);
    if (rc != 0) {
        free(start);
    }
    return answer(rc);
}

int thrd_join(thrd_t id, int *out)
{
    void *result = NULL;
    int rc = pthread_join(id, &result);

    if (out != NULL) {
        *out = (int) (intptr_t) result;
    }
    return answer(rc);
}

int mtx_init(mtx_t *m, int type)
{
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, type & mtx_recursive ? PTHREAD_MUTEX_RECURSIVE
                                                          : PTHREAD_MUTEX_NORMAL);
    int rc = pthread_mutex_init((pthread_mutex_t *) m, &attr);
    pthread_mutexattr_destroy(&attr);
    return answer(rc);
}

void mtx_destroy(mtx_t *m)
{
    pthread_mutex_destroy((pthread_mutex_t *) m);
}

int mtx_lock(mtx_t *m)
{
    return answer(pthread_mutex_lock((pthread_mutex_t *) m));
}

int mtx_trylock(mtx_t *m)
{
    return answer(pthread_mutex_trylock((pthread_mutex_t *) m));
}

int mtx_unlock(mtx_t *m)
{
    return answer(pthread_mutex_unlock((pthread_mutex_t *) m));
}

int cnd_init(cnd_t *c)
{
    return answer(pthread_cond_init((pthread_cond_t *) c, NULL));
}

void cnd_destroy(cnd_t *c)
{
    pthread_cond_destroy((pthread_cond_t *) c);
}

int cnd_signal(cnd_t *c)
{
    return answer(pthread_cond_signal((pthread_cond_t *) c));
}

int cnd_broadcast(cnd_t *c)
{
    return answer(pthread_cond_broadcast((pthread_cond_t *) c));
}

int cnd_wait(cnd_t *c, mtx_t *m)
{
    return answer(pthread_cond_wait((pthread_cond_t *) c, (pthread_mutex_t *) m));
}

int cnd_timedwait(cnd_t *c, mtx_t *m, const struct timespec *until)
{
    return answer(pthread_cond_timedwait((pthread_cond_t *) c, (pthread_mutex_t *) m, until));
}
