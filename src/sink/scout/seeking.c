/* See seeking.h. Scout thread. */
#include "sink/scout/seeking.h"

#include "base/clock.h"
#include "base/mem.h"
#include "kafka/lookup.h"
#include "pg/seeks.h"

#include <stdio.h>
#include <stdlib.h>

static const char no_answer[] = "kafka: no answer for this partition";

/* The requests from here on that mean the same place. */
static size_t run_of(const struct seek *seeks, size_t n)
{
    size_t run = 1;

    while (run < n && seeks[run].at_ms == seeks[0].at_ms) {
        run++;
    }
    return run;
}

/* why: what the requests that fail refer to, which the caller frees; NULL: none does. */
static void ask(struct client *client, struct seek *seeks, size_t n, usec_t timeout, char **why)
{
    struct error err;
    struct partition_ref *refs = mem_array(n, sizeof *refs);

    for (size_t i = 0; i < n; i++) {
        refs[i] = (struct partition_ref){.topic = seeks[i].topic, .partition = seeks[i].partition};
    }
    bool ok = lookup_offsets(client, refs, n, seeks[0].at_ms, timeout, &err) ||
              error_wrap(&err, "kafka");
    *why = ok ? NULL : mem_strdup(err.text);
    for (size_t i = 0; i < n; i++) {
        bool has_answer = ok && refs[i].offset >= 0;
        seeks[i].offset = refs[i].offset;
        if (!has_answer) {
            seeks[i].error = ok ? no_answer : *why;
        }
    }
    free(refs);
}

/* How many of them are asked about. whys: of each request the run of which begins there. */
static size_t ask_all(struct client *client, struct seek *seeks, size_t n, usec_t timeout,
                      char **whys)
{
    usec_t deadline = clock_mono() + timeout;
    size_t done = 0;

    while (done < n && (done == 0 || clock_mono() < deadline)) {
        size_t run = run_of(&seeks[done], n - done);
        ask(client, &seeks[done], run, timeout, &whys[done]);
        done += run;
    }
    return done;
}

static void note_why(struct seeking *s, const struct seek *seeks, size_t n)
{
    for (size_t i = 0; i < n && s->why.class == ERROR_NONE; i++) {
        if (seeks[i].error != NULL) {
            error_set(&s->why, ERROR_LINK, "%s-%d: %s", seeks[i].topic, seeks[i].partition,
                      seeks[i].error);
        }
    }
}

bool seeking_round(struct seeking *s, const struct config *cfg, struct client *client,
                   struct conn *conn, usec_t timeout, struct error *err)
{
    struct seek *seeks;

    s->moved = s->found = 0;
    s->why = (struct error){0};
    if (!seeks_read(conn, cfg->postgres.schema, cfg->sink, s->owner, &seeks, &s->found, err)) {
        return false;
    }
    char **whys = mem_array(MAX(s->found, 1), sizeof *whys);
    size_t asked = ask_all(client, seeks, s->found, timeout, whys);
    s->left = asked < s->found;
    note_why(s, seeks, asked);
    bool ok = asked == 0 ||
              seeks_done(conn, cfg->postgres.schema, cfg->sink, seeks, asked, &s->moved, err);
    for (size_t i = 0; i < s->found; i++) {
        free(whys[i]);
    }
    free(whys);
    seeks_free(seeks, s->found);
    return ok;
}
