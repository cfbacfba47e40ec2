/* pgsinkd offsets: how far each partition is, as the ledger knows it. Main thread. */
#include "command/listing_text.h"
#include "command/steer.h"
#include "host/terminal.h"

#include <stdio.h>

static bool print_offsets(struct steer *s, struct error *err)
{
    _cleanup_listing_ struct listing l = {0};
    _cleanup_buf_ struct buf out = {0};
    enum control_view view = s->args->json ? CONTROL_PARTITIONS_JSON : CONTROL_PARTITIONS;

    if (!control_list(&s->control, view, &s->at, &l, err)) {
        return false;
    }
    if (l.row_count == 0 && s->at.partition != NULL) {
        s->code = EXIT_USAGE;
        return error_set(err, ERROR_SETUP, "sink '%s' has not read partition %s of topic '%s'",
                         s->args->cfg->sink, s->at.partition, s->at.topic);
    }
    for (size_t i = 0; s->args->json && i < l.row_count; i++) {
        puts(listing_cell(&l, i, 0));
    }
    if (!s->args->json) {
        listing_text_add(&out, &l, terminal_has_colour());
        fwrite(out.p, 1, out.n, stdout);
    }
    return true;
}

enum exit_code command_offsets(const struct command_args *args)
{
    return steer_run(args, "offsets", args->words[0], STEER_BEGUN, print_offsets);
}
