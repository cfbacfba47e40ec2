/* pgsinkd reset: forgets where a topic stands, so that it begins again. Main thread. */
#include "command/steer.h"

#include <stdio.h>
#include <string.h>

static bool add_forgotten(const struct listing *changes, size_t row, struct buf *out)
{
    steer_add_place(changes, row, out);
    buf_printf(out, ": %s -> forgotten", listing_cell(changes, row, CHANGE_BEFORE));
    return true;
}

/* All that is stored of the topic will be stored once more: that must be meant. */
static bool reset_now(struct steer *s, struct error *err)
{
    _cleanup_listing_ struct listing changes = {0};

    if (!s->args->yes) {
        s->code = EXIT_USAGE;
        error_set(err, ERROR_SETUP, "reset would forget where topic '%s' stands: nothing is done",
                  s->at.topic);
        return error_hint(err, "It begins again where kafka.start says, and what is stored already "
                               "is stored once more. If that is meant: --yes.");
    }
    if (!control_do(&s->control, CONTROL_RESET, &s->at, NULL, &changes, err)) {
        return false;
    }
    (void) steer_print(s, &changes, add_forgotten);
    return true;
}

enum exit_code command_reset(const struct command_args *args)
{
    if (strchr(args->words[0], ':') != NULL) {
        fprintf(stderr, "pgsinkd reset: '%s': a topic is reset as a whole\n", args->words[0]);
        return EXIT_USAGE;
    }
    return steer_run(args, "reset", args->words[0], STEER_BEGUN, reset_now);
}
