/* See path.h. */
#include "sink/path.h"

/* A batch of one path moves to the other only when it is so much beyond the border: 1/4. */
static size_t with_margin(const struct path *p, size_t border)
{
    return p->last == TXN_UNNEST ? border + border / 4 : border - border / 4;
}

static bool is_small(const struct path *p, const struct batch *b)
{
    return batch_row_count(b) <= with_margin(p, PATH_ROWS) &&
           b->bytes <= with_margin(p, PATH_BYTES);
}

void path_init(struct path *p, enum config_write_path wanted)
{
    p->wanted = wanted;
    p->last = TXN_UNNEST;
}

enum txn_path path_choose(struct path *p, const struct batch *b)
{
    switch (p->wanted) {
    case WRITE_PATH_COPY:
        return TXN_COPY;
    case WRITE_PATH_UNNEST:
        return TXN_UNNEST;
    case WRITE_PATH_AUTO:
        break;
    }
    p->last = is_small(p, b) ? TXN_UNNEST : TXN_COPY;
    return p->last;
}

bool path_may_follow(const struct path *p, const struct batch *b)
{
    return p->wanted != WRITE_PATH_COPY && is_small(p, b);
}
