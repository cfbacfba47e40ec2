/*
 * Which write path a batch takes. unnest needs one round trip where COPY needs two, and less work
 * of the server for each transaction; COPY needs less work for each row. Where they meet was
 * measured (docs/performance.md): at about PATH_ROWS narrow rows, or PATH_BYTES of wide ones; and
 * where COPY has to fill a temporary table first, as for rows with a key, at PATH_STAGED_ROWS. A
 * batch near the border stays with the path of the one before, so that a steady load keeps its
 * way. Pure; worker thread.
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
};

void write_path_init(struct write_path *p, enum config_write_path wanted);
enum txn_path write_path_choose(struct write_path *p, const struct batch *b);

/* Is it small enough to follow another on its way? Large ones would add up in memory. */
bool write_path_may_follow(const struct write_path *p, const struct batch *b) _pure_;

#endif
