/*
 * pgsinkd status: how a sink is, as its ledger says, so from anywhere: its processes, what stands
 * and why, what is most behind. --watch: again and again, in place where stdout is a terminal. Main
 * thread.
 */
#include "command/escape.h"
#include "command/listing_text.h"
#include "command/steer.h"
#include "host/signals.h"
#include "host/terminal.h"

#include <stdio.h>
#include <string.h>

#define WATCH_PAUSE (2 * USEC_PER_SEC)

#define BOLD "\x1b[1m"
#define RED "\x1b[31m"
#define YELLOW "\x1b[33m"
#define PLAIN "\x1b[0m"

/* ---- one look ---- */

/* All that is shown at one time. */
struct look {
    struct listing sink;
    struct listing instances;
    struct listing standing;
    struct listing seeks;
    struct listing topics;
};

static void look_done(struct look *l)
{
    listing_done(&l->sink);
    listing_done(&l->instances);
    listing_done(&l->standing);
    listing_done(&l->seeks);
    listing_done(&l->topics);
}

#define _cleanup_look_ _cleanup_(look_done)

static bool look(const struct control *k, struct look *out, struct error *err)
{
    return control_list(k, CONTROL_SINK, NULL, &out->sink, err) &&
           control_list(k, CONTROL_INSTANCES, NULL, &out->instances, err) &&
           control_list(k, CONTROL_STANDING, NULL, &out->standing, err) &&
           control_list(k, CONTROL_SEEKS, NULL, &out->seeks, err) &&
           control_list(k, CONTROL_TOPICS, NULL, &out->topics, err);
}

/* ---- in words ---- */

static const char *or_unknown(const struct listing *l, enum control_sink_column column)
{
    const char *cell = listing_cell(l, 0, column);

    return cell != NULL ? cell : "?";
}

static void add_sink(struct buf *out, const char *sink, const struct listing *l, bool colour)
{
    const char *last = l->row_count > 0 ? listing_cell(l, 0, SINK_LAST_ERROR) : NULL;

    buf_printf(out, "%ssink %s%s", colour ? BOLD : "", sink, colour ? PLAIN : "");
    if (l->row_count == 0) {
        buf_add_z(out, ": nothing has been read yet, and no daemon runs\n");
        return;
    }
    buf_printf(out, ": daemons %s, partitions %s, behind %s, standing %s\n",
               or_unknown(l, SINK_INSTANCES), or_unknown(l, SINK_PARTITIONS),
               or_unknown(l, SINK_BEHIND), or_unknown(l, SINK_STANDING));
    buf_printf(out, "lag %s records, %s s; %s records/s, %s rows/s; seeks %s, gaps %s, ",
               or_unknown(l, SINK_LAG), or_unknown(l, SINK_LAG_SECONDS),
               or_unknown(l, SINK_RECORDS_PER_SECOND), or_unknown(l, SINK_ROWS_PER_SECOND),
               or_unknown(l, SINK_SEEKS), or_unknown(l, SINK_GAPS));
    buf_printf(out, "dead letters %s\n", or_unknown(l, SINK_DEAD_LETTERS));
    if (last != NULL) {
        buf_printf(out, "last error %s: ", or_unknown(l, SINK_LAST_ERROR_AT));
        escape_add(out, str_of(last), '\0');
        buf_add_z(out, "\n");
    }
}

/* What only a person ends is red, what ends by itself is yellow; a pause is meant. */
static const char *colour_of(const char *state)
{
    if (strcmp(state, "paused") == 0) {
        return "";
    }
    bool by_itself = strcmp(state, "parked") == 0 || strcmp(state, "waiting") == 0;
    return by_itself ? YELLOW : RED;
}

static void add_indented(struct buf *out, const char *mark, const char *text)
{
    if (text != NULL) {
        buf_printf(out, "    %s", mark);
        escape_add(out, str_of(text), '\0');
        buf_add_z(out, "\n");
    }
}

static void add_standing(struct buf *out, const struct listing *l, bool colour)
{
    enum { PLACE, STATE, SINCE, REASON, HINT };

    for (size_t i = 0; i < l->row_count; i++) {
        const char *state = listing_cell(l, i, STATE);
        buf_add_z(out, colour ? colour_of(state) : "");
        escape_add(out, str_of(listing_cell(l, i, PLACE)), '\0');
        buf_printf(out, "  %s since %s%s\n", state, listing_cell(l, i, SINCE), colour ? PLAIN : "");
        add_indented(out, "", listing_cell(l, i, REASON));
        add_indented(out, "HINT: ", listing_cell(l, i, HINT));
    }
}

static void add_part(struct buf *out, const struct listing *l, bool colour)
{
    if (l->row_count > 0) {
        buf_add_z(out, "\n");
        listing_text_add(out, l, colour);
    }
}

static void add_look(struct buf *out, const char *sink, const struct look *l, bool colour)
{
    add_sink(out, sink, &l->sink, colour);
    add_part(out, &l->instances, colour);
    buf_add_z(out, l->standing.row_count > 0 ? "\n" : "");
    add_standing(out, &l->standing, colour);
    add_part(out, &l->seeks, colour);
    add_part(out, &l->topics, colour);
}

static bool add_status(struct steer *s, struct buf *out, bool colour, struct error *err)
{
    _cleanup_listing_ struct listing json = {0};
    _cleanup_look_ struct look l = {0};

    if (s->args->json) {
        if (!control_list(&s->control, CONTROL_STATUS_JSON, NULL, &json, err)) {
            return false;
        }
        buf_printf(out, "%s\n", listing_cell(&json, 0, 0));
        return true;
    }
    if (!look(&s->control, &l, err)) {
        return false;
    }
    add_look(out, s->args->cfg->sink, &l, colour);
    return true;
}

static bool print_status(struct steer *s, struct error *err)
{
    _cleanup_buf_ struct buf out = {0};

    if (!add_status(s, &out, terminal_has_colour(), err)) {
        return false;
    }
    fwrite(out.p, 1, out.n, stdout);
    return true;
}

/* ---- in place ---- */

/* The length of the part of a line that fills the columns; escapes fill none. */
static size_t fitting(struct str line, unsigned columns)
{
    size_t i = 0;
    unsigned shown = 0;

    while (i < line.n) {
        if (line.p[i] == '\x1b') {
            while (i < line.n && line.p[i] != 'm') {
                i++;
            }
            i++;
            continue;
        }
        if (shown == columns) {
            break;
        }
        size_t n = str_utf8_char((struct str){line.p + i, line.n - i});
        i += MAX(n, 1);
        shown++;
    }
    return MIN(i, line.n);
}

/* As much of the text as the window shows, over what is there. */
static void draw(const struct buf *text)
{
    struct terminal_size size = terminal_size();
    struct str rest = buf_str(text);
    _cleanup_buf_ struct buf out = {0};

    buf_add_z(&out, "\x1b[H");
    for (unsigned row = 1; rest.n > 0 && (size.rows == 0 || row < size.rows); row++) {
        const char *feed = memchr(rest.p, '\n', rest.n);
        struct str line = {rest.p, feed != NULL ? (size_t) (feed - rest.p) : rest.n};
        size_t n = size.columns > 0 ? fitting(line, size.columns) : line.n;
        buf_add(&out, line.p, n);
        buf_add_z(&out, PLAIN "\x1b[K\n");
        n = MIN(line.n + 1, rest.n);
        rest = (struct str){rest.p + n, rest.n - n};
    }
    buf_add_z(&out, "\x1b[J");
    fwrite(out.p, 1, out.n, stdout);
}

/* What cannot be asked is shown, and asked again. */
static void add_frame(struct steer *s, int stop_fd, bool colour, struct buf *out)
{
    struct error err;

    if ((conn_is_open(s->conn) || steer_connect(s, stop_fd, &err)) &&
        add_status(s, out, colour, &err)) {
        return;
    }
    conn_close(s->conn);
    buf_clear(out);
    if (s->args->json) {
        fprintf(stderr, "%s\n", err.text);
    } else {
        escape_add(out, str_of(err.text), '\0');
        buf_add_z(out, "; trying again\n");
    }
}

/* The first look has shown that it can be asked at all. */
static bool watch(struct steer *s, struct error *err)
{
    bool in_place = terminal_is_there() && !s->args->json;
    bool colour = terminal_has_colour() && !s->args->json;
    int stop_fd = signals_open();
    _cleanup_buf_ struct buf out = {0};

    if (!add_status(s, &out, colour, err)) {
        return false;
    }
    terminal_begin();
    fputs(in_place ? "\x1b[2J" : "", stdout);
    for (;;) {
        if (in_place) {
            draw(&out);
        } else {
            fwrite(out.p, 1, out.n, stdout);
            fputs(s->args->json ? "" : "\n", stdout);
        }
        if (fflush(stdout) != 0 || terminal_wait_end(stop_fd, WATCH_PAUSE)) {
            break;
        }
        buf_clear(&out);
        add_frame(s, stop_fd, colour, &out);
    }
    terminal_end();
    return true;
}

enum exit_code command_status(const struct command_args *args)
{
    return steer_run(args, "status", NULL, STEER_BEGUN, args->watch ? watch : print_status);
}
