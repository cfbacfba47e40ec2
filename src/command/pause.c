/*
 * pgsinkd pause, pgsinkd resume: what an operator stops and lets go on. The daemon hears of it by
 * itself. Main thread.
 */
#include "command/steer.h"

#include <stdio.h>
#include <string.h>

#define PAUSED "paused"

static bool is(const char *state, const char *what)
{
    return state != NULL && strcmp(state, what) == 0;
}

/* ---- pause ---- */

static bool add_paused(const struct listing *changes, size_t row, struct buf *out)
{
    bool was = is(listing_cell(changes, row, CHANGE_WAS), PAUSED);

    steer_add_place(changes, row, out);
    buf_printf(out, ": %s at %s", was ? "was paused already," : PAUSED,
               listing_cell(changes, row, CHANGE_AFTER));
    return true;
}

static void print_future(const struct steer *s)
{
    _cleanup_buf_ struct buf name = {0};

    steer_add_named(s, &name);
    printf("%s: paused; nothing of it has been read yet\n", buf_cstr(&name));
}

static bool pause_now(struct steer *s, struct error *err)
{
    _cleanup_listing_ struct listing changes = {0};

    if (!control_do(&s->control, CONTROL_PAUSE, &s->at, NULL, &changes, err)) {
        return false;
    }
    if (steer_print(s, &changes, add_paused) == 0 && !s->args->json) {
        print_future(s);
    }
    return true;
}

enum exit_code command_pause(const struct command_args *args)
{
    return steer_run(args, "pause", args->words[0], STEER_FUTURE, pause_now);
}

/* ---- resume ---- */

static bool add_resumed(const struct listing *changes, size_t row, struct buf *out)
{
    const char *was = listing_cell(changes, row, CHANGE_WAS);

    if (was == NULL) {
        return false;
    }
    steer_add_place(changes, row, out);
    buf_printf(out, ": was %s, goes on at %s", was, listing_cell(changes, row, CHANGE_AFTER));
    return true;
}

static bool resume_now(struct steer *s, struct error *err)
{
    _cleanup_listing_ struct listing changes = {0};
    _cleanup_buf_ struct buf name = {0};

    if (!control_do(&s->control, CONTROL_RESUME, &s->at, NULL, &changes, err)) {
        return false;
    }
    if (steer_print(s, &changes, add_resumed) == 0 && !s->args->json) {
        steer_add_named(s, &name);
        printf("%s: nothing of it stood\n", buf_cstr(&name));
    }
    return true;
}

enum exit_code command_resume(const struct command_args *args)
{
    return steer_run(args, "resume", args->words[0], STEER_EXPECTED, resume_now);
}
