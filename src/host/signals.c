/* signalfd, see signals.h. What a signal means is decided in sink/app.c. Main thread. */
#include "host/signals.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

int signals_open(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    int fd = -1;
    if (sigprocmask(SIG_BLOCK, &set, NULL) == 0) {
        fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    }
    if (fd < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        abort(); /* only a bug or a kernel without signalfd */
    }
    return fd;
}

int signals_take(int fd)
{
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) != (ssize_t) sizeof info) {
        return 0;
    }
    return (int) info.ssi_signo;
}
