/*
 * Rates and how they are shown, see progress.h. Reads the workers' counters, changes nothing but
 * what is on the terminal. Main thread.
 */
#include "sink/watch/progress.h"

#include "base/log.h"
#include "host/notify.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_INTERVAL (5 * USEC_PER_SEC)
#define BAR_WIDTH 24

void progress_init(struct progress *p, bool until_end)
{
    *p = (struct progress){.until_end = until_end};
    p->bar = until_end && isatty(STDERR_FILENO) == 1;
    p->started = p->last = clock_mono();
    p->next_line = p->started + LINE_INTERVAL;
}

static void update_rate(struct progress *p, const struct totals *t, usec_t now)
{
    if (now - p->last >= USEC_PER_SEC / 2) {
        double seconds = (double) (now - p->last) / (double) USEC_PER_SEC;
        double rate = (double) (t->rows - p->last_rows) / seconds;
        p->rows_per_second = p->last_rows == 0 ? rate : 0.5 * p->rows_per_second + 0.5 * rate;
        p->last = now;
        p->last_rows = t->rows;
    }
}

/* "12 s", "3 min", or "?" while nothing moves. */
static void eta_text(char *out, size_t size, uint64_t to_go, double per_second)
{
    double seconds = per_second > 0 ? (double) to_go / per_second : -1;

    if (seconds < 0 || seconds > 1e6) {
        snprintf(out, size, "?");
    } else if (seconds < 100) {
        snprintf(out, size, "%.0f s", seconds);
    } else {
        snprintf(out, size, "%.0f min", seconds / 60);
    }
}

static void draw_bar(struct progress *p, const struct totals *t, const struct drain_left *left)
{
    char eta[32];
    char bar[BAR_WIDTH + 1];
    double done = left->total > 0 ? 1.0 - (double) left->to_go / (double) left->total : 0;
    size_t filled = (size_t) (done * BAR_WIDTH);

    eta_text(eta, sizeof eta, left->to_go, p->rows_per_second);
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', MIN(filled, (size_t) BAR_WIDTH));
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r[%s] %3.0f %%  %llu rows  %.0f rows/s  lag %llu  eta %s\033[K", bar,
            done * 100, (unsigned long long) t->rows, p->rows_per_second,
            (unsigned long long) left->to_go, eta);
    fflush(stderr);
    p->bar_shown = true;
}

/* ", 3 parked, 1 waiting: orders-0@17: ..." */
static void standing_text(char *out, size_t size, const struct crew_summary *s)
{
    int n = 0;

    *out = '\0';
    for (size_t i = STANDING_NONE + 1; i < STANDING_STATES; i++) {
        if (s->standing[i] > 0) {
            n += snprintf(out + n, size - (size_t) n, ", %zu %s", s->standing[i],
                          standing_name((enum standing_state) i));
        }
    }
    if (s->why != NULL) {
        snprintf(out + n, size - (size_t) n, ": %s", s->why);
    }
}

void progress_tick(struct progress *p, const struct totals *t, const struct crew_summary *s,
                   const struct drain_left *left)
{
    usec_t now = clock_mono();
    char standing[400];

    update_rate(p, t, now);
    standing_text(standing, sizeof standing, s);
    notify_status("%s%s%s%s%s%s%s%.240s%s%s%s%zu partitions, %.0f rows/s, lag %llu%s", p->trouble,
                  *p->trouble != '\0' ? "; " : "", p->target, *p->target != '\0' ? "; " : "",
                  p->registry, *p->registry != '\0' ? "; " : "", s->away ? "kafka: " : "",
                  s->away ? s->why_away : "", s->away ? "; " : "", s->lacks,
                  *s->lacks != '\0' ? "; " : "", s->partitions, p->rows_per_second,
                  (unsigned long long) s->lag, standing);
    if (p->bar) {
        draw_bar(p, t, left);
    } else if (p->until_end && now >= p->next_line) {
        char eta[32];
        p->next_line = now + LINE_INTERVAL;
        eta_text(eta, sizeof eta, left->to_go, p->rows_per_second);
        log_event(LOG(drain_progress), (unsigned long long) t->rows, p->rows_per_second,
                  (unsigned long long) left->to_go, eta);
    }
}

void progress_end(struct progress *p, const struct totals *t)
{
    if (p->bar_shown) {
        fputc('\n', stderr);
    }
    double seconds = (double) (clock_mono() - p->started) / (double) USEC_PER_SEC;
    log_event(LOG(totals), (unsigned long long) t->records, (unsigned long long) t->rows,
              (unsigned long long) t->dead_letters, (unsigned long long) t->transactions, seconds);
}
