/*
 * What run --until-end has to read, how far that is read, and what is logged at the end.
 *
 * A target is a partition of a topic that a route takes, with the end that it had at the start. It
 * is judged by the ledger: what the crew has stored of it while it is ours, what the ledger says
 * while it is another member's; without a ledger, by the group's offsets. So several processes may
 * drain together, or beside a daemon. Nothing here waits or asks: it makes questions for the scout,
 * takes its answers and what the crew knows, and decides. Main thread only.
 */
#ifndef SINK_WATCH_DRAIN_H
#define SINK_WATCH_DRAIN_H

#include "sink/crew/crew.h"
#include "sink/exit.h"

/* Why a drain ends. */
enum drain_end {
    DRAIN_OVER,    /* drain_is_over */
    DRAIN_SIGNAL,  /* asked to stop before that */
    DRAIN_TIMEOUT, /* --timeout expired before that */
};

struct drain;

/* Knows only the names and patterns of the file yet. cfg and plan must outlive the drain. */
struct drain *drain_new(const struct config *cfg, const struct plan *plan) _must_;
struct drain *drain_free(struct drain *d); /* returns NULL */

/* The next question for the scout, whose it then is; NULL: none now. To be called in each turn. */
struct scout_mail *drain_turn(struct drain *d, usec_t now);

/* Is this kind of question a drain's? */
bool drain_asks(enum scout_kind kind);

/* The answer to it. The caller frees it. */
void drain_answer(struct drain *d, const struct scout_mail *m, usec_t now);

/* The targets that are known by now, numbered from 0; one keeps its number. */
size_t drain_count(const struct drain *d);
struct partition_ref drain_ref(const struct drain *d, size_t i); /* topic borrowed; the end */

/* Takes over what the crew knows of the targets and of the group: in each turn, before
 * drain_is_over. */
void drain_look(struct drain *d, const struct crew *c, usec_t now);

/* Its parts, for tests: how the i-th target stands in this process; how this process stands. */
void drain_note(struct drain *d, size_t i, const struct crew_place *place, usec_t now);
void drain_note_group(struct drain *d, const struct crew_summary *crew, usec_t now);

/*
 * There is nothing left to wait for: each target is read to its end or has stopped; or what is left
 * belongs to other members, and has not moved in the ledger for longer than the group takes to
 * notice that a member has gone.
 */
bool drain_is_over(const struct drain *d, usec_t now);

/* Writes an error line for each topic that is not read to its end, and returns the exit code. */
enum exit_code drain_report(const struct drain *d, enum drain_end end);

/* These lines, for drain_report and tests: appends the text of the i-th topic; false: it has none.
 */
size_t drain_topic_count(const struct drain *d);
bool drain_describe(const struct drain *d, size_t i, enum drain_end end, struct buf *out);

/* Of those targets that are ours: the offsets from where they began to their ends, and how many of
 * these are left. */
struct drain_left {
    uint64_t total;
    uint64_t to_go;
};
struct drain_left drain_left(const struct drain *d);

#endif
