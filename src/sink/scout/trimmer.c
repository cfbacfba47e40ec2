/* See trimmer.h. Scout thread. */
#include "sink/scout/trimmer.h"

#include "base/failpoint.h"
#include "pg/history.h"

#include <stdio.h>
#include <string.h>

#define TRIM_INTERVAL (60 * USEC_PER_SEC)
/* A delete of so many rows takes some 20 ms. */
#define TRIM_ROWS 2000U
/* If there is more to delete, four fifths of the time are left to others. */
#define TRIM_PAUSE_SHARE 4
#define TRIM_PAUSE_MIN (100 * USEC_PER_MSEC)

struct trimmer trimmer_of(const struct config *cfg)
{
    return (struct trimmer){.cfg = cfg, .due = cfg->audit ? 0 : USEC_NEVER};
}

void trimmer_configure(struct trimmer *t, const struct config *cfg)
{
    if (cfg->audit != t->cfg->audit) {
        *t = trimmer_of(cfg);
        if (cfg->audit) {
            t->due = clock_mono() +
                     failpoint_time(FAILTIME_HISTORY_STARTS, TRIM_INTERVAL + cfg->postgres.timeout);
        }
    }
    t->cfg = cfg;
}

usec_t trimmer_deadline(const struct trimmer *t)
{
    return t->due;
}

void trimmer_put_off(struct trimmer *t, usec_t now)
{
    t->due = now + TRIM_INTERVAL;
}

bool trimmer_turn(struct trimmer *t, struct conn *c, struct error *err)
{
    const struct config *cfg = t->cfg;
    usec_t began = clock_mono();
    bool more = false;
    bool ok = history_trim(c, cfg->postgres.schema, cfg->sink, cfg->history_retention, TRIM_ROWS,
                           &more, err);
    usec_t now = clock_mono();

    trimmer_put_off(t, now);
    if (ok && more) {
        t->due = now + MAX(TRIM_PAUSE_MIN, TRIM_PAUSE_SHARE * (now - began));
    }
    return ok;
}

bool trimmer_is_news(struct trimmer *t, bool ok, const struct error *err)
{
    bool is_link = !ok && err->class == ERROR_LINK;

    t->cut_off = is_link ? t->cut_off + 1 : 0;
    if (ok) {
        t->is_reported = false;
        return false;
    }
    if ((is_link && t->cut_off < 2) ||
        (t->is_reported && strcmp(t->reported, err->sqlstate) == 0)) {
        return false;
    }
    t->is_reported = true;
    snprintf(t->reported, sizeof t->reported, "%s", err->sqlstate);
    return true;
}
