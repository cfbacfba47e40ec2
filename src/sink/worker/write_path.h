/*
 * Which write path a batch takes. unnest needs one round trip where COPY needs two, and less work
 * of the server for each transaction; COPY needs less work for each row. Where they meet was
 * measured (docs/performance.md): at about PATH_ROWS narrow rows, or PATH_BYTES of wide ones; and
 * where COPY has to fill a temporary table first, as for rows with a key, at PATH_STAGED_ROWS. A
 * batch near the border stays with the path of the one before, so that a steady load keeps its
 * way.
 *
 * After rows of a batch were refused, the next one is expected to have as many, in proportion, and
 * goes the way that finds them (TXN_EACH) at once: one attempt less. Pure; worker thread.
 */
#ifndef SINK_WORKER_WRITE_PATH_H
#define SINK_WORKER_WRITE_PATH_H

#include "config/config.h"
#include "pg/txn.h"

#define PATH_ROWS 2000
#define PATH_BYTES ((size_t) 512 << 10)
#define PATH_STAGED_ROWS 10000
#define PATH_STAGED_BYTES ((size_t) 2 << 20)

struct write_path {
    enum config_write_path wanted;
    enum txn_path last;
    /* of the last batch with rows that were refused; each batch without any halves what is expected
     */
    uint64_t tried_rows;
    uint64_t refused_rows;
};

void write_path_init(struct write_path *p, enum config_write_path wanted);
enum txn_path write_path_choose(struct write_path *p, const struct batch *b);

/* So many rows of a batch were refused, or none. */
void write_path_learn(struct write_path *p, size_t rows, size_t refused);

/* Is at least one row of b likely to be refused? */
bool write_path_expects_refusals(const struct write_path *p, const struct batch *b) _pure_;

/* Is it small enough to follow another on its way? Large ones would add up in memory. */
bool write_path_may_follow(const struct write_path *p, const struct batch *b) _pure_;

#endif
