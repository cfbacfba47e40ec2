/* See beat.h. Main thread. */
#include "sink/watch/beat.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INTERVAL (10 * USEC_PER_SEC)
#define FIRST (500 * USEC_PER_MSEC) /* most often partitions have been claimed by then */

void beat_init(struct beat *b, const char *owner)
{
    usec_t now = clock_mono();

    *b = (struct beat){.owner = owner, .started = now, .taken_at = now, .at = now + FIRST};
}

void beat_begin(struct beat *b, const char *owner, const struct totals *t)
{
    usec_t started = b->started;

    beat_init(b, owner);
    b->started = started;
    b->records = t->records;
    b->rows = t->rows;
}

usec_t beat_deadline(const struct beat *b)
{
    return b->owner == NULL || b->asking ? USEC_NEVER : b->at;
}

/* Since the totals were taken last. */
static void take_rates(struct beat *b, const struct totals *t, usec_t now, struct heartbeat *out)
{
    double seconds = (double) (now - b->taken_at) / (double) USEC_PER_SEC;

    if (seconds > 0) {
        out->records_per_second = (double) (t->records - b->records) / seconds;
        out->rows_per_second = (double) (t->rows - b->rows) / seconds;
    }
    b->taken_at = now;
    b->records = t->records;
    b->rows = t->rows;
}

static void take_last_error(struct heartbeat *out, usec_t now)
{
    struct log_last last;
    size_t chars;

    if (!log_last_error(&last)) {
        return;
    }
    bool is_text = str_utf8(str_of(last.text), &chars);
    snprintf(out->last_error, sizeof out->last_error, "%s",
             is_text ? last.text : "an error whose text is not UTF-8: see the log");
    out->last_error_age_usec = now > last.at_usec ? now - last.at_usec : 0;
}

struct scout_mail *beat_turn(struct beat *b, const struct totals *t, const struct crew_summary *s,
                             uint32_t workers, usec_t now)
{
    if (now < beat_deadline(b)) {
        return NULL;
    }
    struct scout_mail *m = scout_mail_new(SCOUT_HEARTBEAT, 0);
    m->beat = mem_zalloc(sizeof *m->beat);
    snprintf(m->beat->owner, sizeof m->beat->owner, "%s", b->owner);
    snprintf(m->beat->host, sizeof m->beat->host, "%.*s", (int) strcspn(b->owner, ":"), b->owner);
    m->beat->pid = getpid();
    m->beat->age_usec = now - b->started;
    m->beat->workers = workers;
    m->beat->partitions = s->partitions;
    take_rates(b, t, now, m->beat);
    take_last_error(m->beat, now);
    b->asking = true;
    b->at = now + INTERVAL;
    return m;
}

void beat_answer(struct beat *b, const struct scout_mail *m)
{
    b->asking = false;
    b->written = b->written || !m->failed;
}

struct scout_mail *beat_end(struct beat *b)
{
    if (!b->written && !b->asking) {
        return NULL;
    }
    struct scout_mail *m = scout_mail_new(SCOUT_FAREWELL, 0);
    m->beat = mem_zalloc(sizeof *m->beat);
    snprintf(m->beat->owner, sizeof m->beat->owner, "%s", b->owner);
    b->owner = NULL;
    return m;
}
