/* thread.c: names, blocked signals, joining in time, owners. */
#include "base/thread.h"

#include "base/clock.h"
#include "unit.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

struct probe {
    atomic_bool go;
    char log_name[16];
    char kernel_name[16];
    bool term_blocked;
};

static void probe_body(void *arg)
{
    struct probe *p = arg;
    sigset_t mask;

    snprintf(p->log_name, sizeof p->log_name, "%s", thread_name());
    pthread_getname_np(pthread_self(), p->kernel_name, sizeof p->kernel_name);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    p->term_blocked = sigismember(&mask, SIGTERM) == 1;
    while (!atomic_load(&p->go)) {
        usleep(1000);
    }
}

static void test_name_and_mask(void **state)
{
    (void) state;
    struct probe p = {.go = true};
    struct thread t;
    sigset_t mask;

    thread_start(&t, "a-name-that-is-too-long", probe_body, &p);
    thread_join(&t);
    assert_string_equal(p.log_name, "a-name-that-is-");
    assert_string_equal(p.kernel_name, "a-name-that-is-");
    assert_true(p.term_blocked);

    assert_string_equal(thread_name(), "main");
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_int_equal(sigismember(&mask, SIGTERM), 0);
}

static void test_join_until(void **state)
{
    (void) state;
    struct probe p = {.go = false};
    struct thread t;

    thread_start(&t, "slow", probe_body, &p);
    usec_t start = clock_mono();
    assert_false(thread_join_until(&t, 0));
    assert_false(thread_join_until(&t, 20000));
    assert_true(clock_mono() - start >= 20000);
    atomic_store(&p.go, true);
    assert_true(thread_join_until(&t, 60 * USEC_PER_SEC));
}

static void test_lock(void **state)
{
    (void) state;
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;

    thread_lock(&m);
    assert_int_not_equal(pthread_mutex_trylock(&m), 0);
    thread_unlock(&m);
    assert_int_equal(pthread_mutex_trylock(&m), 0);
    pthread_mutex_unlock(&m);
}

static void use_from_another_thread(void *arg)
{
    thread_assert_owner(arg);
}

static void own_here_use_there(void *arg)
{
    struct thread_owner owner = {0};
    struct thread t;

    (void) arg;
    thread_own(&owner);
    thread_assert_owner(&owner);
    thread_start(&t, "thief", use_from_another_thread, &owner);
    thread_join(&t);
}

static void use_without_owner(void *arg)
{
    struct thread_owner owner = {0};

    (void) arg;
    thread_assert_owner(&owner);
}

static void test_owner(void **state)
{
    (void) state;
    struct thread_owner owner = {0};

    thread_own(&owner);
    thread_assert_owner(&owner);
    unit_expect_abort(own_here_use_there, NULL, "pthread_equal");
    unit_expect_abort(use_without_owner, NULL, "pthread_equal");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_and_mask),
        cmocka_unit_test(test_join_until),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_owner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
