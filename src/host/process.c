/* /proc/self, see process.h. */
#include "host/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static double wall_seconds(void)
{
    return (double) clock_wall_ms() / 1000;
}

/* Numbers of proc_pid_stat(5), counted from 1: the name of the program, number 2, may be anything,
 * and ends with the last parenthesis. */
enum { STAT_THREADS = 20, STAT_START = 22, STAT_VIRTUAL = 23, STAT_RESIDENT = 24, STAT_LAST = 24 };

/* Fills numbers[3..STAT_LAST]; false: the file is another one. */
static bool read_stat(long long numbers[static STAT_LAST + 1])
{
    char text[1024] = "";
    FILE *f = fopen("/proc/self/stat", "re");

    if (f == NULL) {
        return false;
    }
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    char *at = strrchr(text, ')');
    if (at == NULL || at[1] != ' ' || at[2] == '\0') {
        return false;
    }
    at += 3; /* number 3 is a letter */
    for (int i = 4; i <= STAT_LAST; i++) {
        numbers[i] = strtoll(at, &at, 10);
    }
    return true;
}

static double seconds_since_boot(void)
{
    struct timespec ts;

    return clock_gettime(CLOCK_BOOTTIME, &ts) == 0 ? (double) ts.tv_sec + (double) ts.tv_nsec / 1e9
                                                   : 0;
}

static void look_at_stat(struct process_cost *out)
{
    long long numbers[STAT_LAST + 1] = {0};

    if (!read_stat(numbers)) {
        return;
    }
    out->threads = (uint64_t) numbers[STAT_THREADS];
    out->virtual_bytes = (uint64_t) numbers[STAT_VIRTUAL];
    out->resident_bytes = (uint64_t) numbers[STAT_RESIDENT] * (uint64_t) sysconf(_SC_PAGESIZE);
    if (out->start_seconds <= 0) { /* else it would move a little whenever it is asked for */
        out->start_seconds = wall_seconds() - seconds_since_boot() +
                             (double) numbers[STAT_START] / (double) sysconf(_SC_CLK_TCK);
    }
}

static uint64_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint64_t n = 0;

    if (dir == NULL) {
        return 0;
    }
    while (readdir(dir) != NULL) {
        n++;
    }
    closedir(dir);
    return n > 3 ? n - 3 : 0; /* without ".", ".." and the directory's own */
}

static usec_t usec_of(struct timeval t)
{
    return (usec_t) t.tv_sec * USEC_PER_SEC + (usec_t) t.tv_usec;
}

void process_look(struct process_cost *out)
{
    struct rusage usage;
    struct rlimit limit;

    *out = (struct process_cost){.start_seconds = out->start_seconds};
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        out->cpu_usec = usec_of(usage.ru_utime) + usec_of(usage.ru_stime);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        out->max_fds = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
    }
    out->open_fds = count_fds();
    look_at_stat(out);
}
