/* See write_path.h. */
#include "sink/worker/write_path.h"

#include "pg/rows_sql.h"

/* A batch of one path moves to the other only when it is so much beyond the border: 1/4. */
static size_t with_margin(const struct write_path *p, size_t border)
{
    return p->last == TXN_UNNEST ? border + border / 4 : border - border / 4;
}

static bool are_small(const struct write_path *p, size_t rows, size_t bytes)
{
    return rows <= with_margin(p, PATH_ROWS) && bytes <= with_margin(p, PATH_BYTES);
}

/* Rows that COPY has to stage count for less. */
static bool is_for_unnest(const struct write_path *p, const struct batch *b)
{
    size_t rows = 0;
    size_t bytes = 0;

    for (size_t i = 0; i < b->part_count; i++) {
        const struct batch_part *part = &b->parts[i];
        const struct rows_shape shape = {part->target, part->action, part->omit};
        bool direct = part->row_count == 0 || rows_are_direct(&shape);
        rows += part->row_count / (direct ? 1 : PATH_STAGED_ROWS / PATH_ROWS);
        bytes += part->bytes.n / (direct ? 1 : PATH_STAGED_BYTES / PATH_BYTES);
    }
    return are_small(p, rows, bytes);
}

void write_path_init(struct write_path *p, enum config_write_path wanted)
{
    *p = (struct write_path){.wanted = wanted, .last = TXN_UNNEST};
}

enum txn_path write_path_choose(struct write_path *p, const struct batch *b)
{
    switch (p->wanted) {
    case WRITE_PATH_COPY:
        return TXN_COPY;
    case WRITE_PATH_UNNEST:
        return TXN_UNNEST;
    case WRITE_PATH_AUTO:
        break;
    }
    p->last = is_for_unnest(p, b) ? TXN_UNNEST : TXN_COPY;
    return p->last;
}

void write_path_learn(struct write_path *p, size_t rows, size_t refused)
{
    if (refused > 0) {
        p->tried_rows = rows;
        p->refused_rows = refused;
    } else {
        p->refused_rows /= 2;
    }
}

bool write_path_expects_refusals(const struct write_path *p, const struct batch *b)
{
    return p->refused_rows > 0 && batch_row_count(b) * p->refused_rows >= p->tried_rows;
}

bool write_path_may_follow(const struct write_path *p, const struct batch *b)
{
    return p->wanted != WRITE_PATH_COPY && are_small(p, batch_row_count(b), b->bytes);
}
