/* A signalfd, see signals.h. sink/app/app.c decides what a signal means. Main thread. */
#include "host/signals.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <unistd.h>

/* The descriptor, which is a new one for fd -1; -1: it failed. */
static int watch(int fd, bool alarm)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (alarm) {
        sigaddset(&set, SIGALRM);
    }
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return -1;
    }
    return signalfd(fd, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int signals_open(void)
{
    int fd = watch(-1, false);

    if (fd < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
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
