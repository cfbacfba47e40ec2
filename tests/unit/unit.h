/*
 * What every unit test includes: cmocka with the headers it wants before it, and ways to see a
 * process die and to see what it writes to stderr. Tests only; one thread,
 * one file per program.
 */
#ifndef UNIT_UNIT_H
#define UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * A request that no machine can meet must come back as NULL to our own check, not end in the
 * sanitizer's. A run's own options, given in the environment, still win.
 */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

/* Coverage counters are lost in a process that aborts unless somebody writes them out. */
#ifdef PGSINKD_COVERAGE
extern void __gcov_dump(void);
#else
static inline void __gcov_dump(void)
{
}
#endif

static inline void unit_before_abort(int sig)
{
    (void) sig;
    __gcov_dump();
}

/* How a child ended and what it said. */
struct unit_end {
    int status;
    char said[16384]; /* stderr, NUL-terminated */
};

/* Runs body(arg) in a child whose stderr is a pipe; a body that returns ends with exit code 0. */
static inline struct unit_end unit_run(void (*body)(void *arg), void *arg)
{
    struct unit_end end = {0};
    int fds[2];
    size_t used = 0;

    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, unit_before_abort);
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        body(arg);
        __gcov_dump();
        _exit(0);
    }
    close(fds[1]);
    while (used < sizeof end.said - 1) {
        ssize_t n = read(fds[0], end.said + used, sizeof end.said - 1 - used);
        if (n <= 0) {
            break;
        }
        used += (size_t) n;
    }
    close(fds[0]);
    assert_int_equal(waitpid(pid, &end.status, 0), pid);
    return end;
}

/* body(arg) must abort, saying `words` (or anything when NULL). */
static inline void unit_expect_abort(void (*body)(void *arg), void *arg, const char *words)
{
    struct unit_end end = unit_run(body, arg);

    assert_true(WIFSIGNALED(end.status));
    assert_int_equal(WTERMSIG(end.status), SIGABRT);
    if (words != NULL && strstr(end.said, words) == NULL) {
        print_error("said: %s\n", end.said);
        fail();
    }
}

static inline void unit_expect_exit(void (*body)(void *arg), void *arg, int code)
{
    struct unit_end end = unit_run(body, arg);

    assert_true(WIFEXITED(end.status));
    assert_int_equal(WEXITSTATUS(end.status), code);
}

#endif
