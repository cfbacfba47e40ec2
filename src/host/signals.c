/* A signalfd, see signals.h. sink/app/app.c decides what a signal means. Main thread. */
#include "host/signals.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <unistd.h>

/* Blocks them. The descriptor, which is a new one for fd -1; -1: it failed. */
static int watch_set(int fd, const sigset_t *set)
{
    return sigprocmask(SIG_BLOCK, set, NULL) == 0 ? signalfd(fd, set, SFD_NONBLOCK | SFD_CLOEXEC)
                                                  : -1;
}

static int watch(int fd, bool alarm)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (alarm) {
        sigaddset(&set, SIGALRM);
    }
    return watch_set(fd, &set);
}

int signals_open_reload(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    int fd = watch_set(-1, &set);
    if (fd < 0) {
        abort(); /* as in signals_open */
    }
    return fd;
}

int signals_open(void)
{
    int fd = watch(-1, false);

    if (fd < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR || signal(SIGCHLD, SIG_DFL) == SIG_ERR ||
        signal(SIGUSR1, SIG_IGN) == SIG_ERR || signal(SIGUSR2, SIG_IGN) == SIG_ERR) {
        abort(); /* only a bug or a kernel without signalfd */
    }
    return fd;
}

void signals_alarm(int fd, usec_t after)
{
    struct itimerval timer = {
        .it_value = {.tv_sec = (time_t) (after / USEC_PER_SEC),
                     .tv_usec = (suseconds_t) (after % USEC_PER_SEC)},
    };

    if (watch(fd, true) < 0 || setitimer(ITIMER_REAL, &timer, NULL) != 0) {
        abort();
    }
}

int signals_take(int fd)
{
    struct signalfd_siginfo info;

    if (read(fd, &info, sizeof info) != (ssize_t) sizeof info) {
        return 0;
    }
    return (int) info.ssi_signo;
}
