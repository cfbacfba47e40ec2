/* See witness.h. The steps are walked from the end, so that what comes after each is known. Any
 * thread. */
#include "pg/witness.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* So many rows with an effect are a strict witness. */
#define STRICT_EFFECTS 10
/* At most every so manieth row may be refused for one reason, and of fewer rows one. */
#define FEW_OF 10

/* What comes after the step that is looked at. */
struct after {
    size_t rows;
    size_t effects;
};

/* Rows of one statement that are refused with one code. */
struct reason {
    size_t statement;
    const char *sqlstate;
    size_t refused;
    size_t rows; /* of the statement, from the first of them on */
};

struct reasons {
    struct reason *list;
    size_t count;
    size_t cap;
    size_t last; /* the one asked for last: neighbours mostly share it */
};

static bool is_of(const struct reason *r, const struct witness_step *s)
{
    return r->statement == s->statement && strcmp(r->sqlstate, s->sqlstate) == 0;
}

static struct reason *reason_of(struct reasons *all, const struct witness_step *s)
{
    if (all->last < all->count && is_of(&all->list[all->last], s)) {
        return &all->list[all->last];
    }
    for (all->last = 0; all->last < all->count; all->last++) {
        if (is_of(&all->list[all->last], s)) {
            return &all->list[all->last];
        }
    }
    all->list = mem_grow(all->list, &all->cap, all->count, sizeof *all->list);
    all->list[all->count] = (struct reason){.statement = s->statement, .sqlstate = s->sqlstate};
    return &all->list[all->count++];
}

static bool are_few(const struct reason *r)
{
    return r->refused <= MAX(r->rows / FEW_OF, 1);
}

static enum txn_witness witness_of(size_t effects)
{
    return effects >= STRICT_EFFECTS ? WITNESS_STRICT : effects > 0 ? WITNESS_PLAIN : WITNESS_NONE;
}

void witness_find(struct witness_step *steps, size_t n, size_t statement_count)
{
    _cleanup_mem_ struct after *after = mem_array(MAX(statement_count, 1), sizeof *after);
    struct reasons reasons = {0};

    for (size_t i = n; i-- > 0;) {
        struct witness_step *s = &steps[i];
        struct after *a = &after[s->statement];
        s->witness = s->sqlstate != NULL ? witness_of(a->effects) : WITNESS_NONE;
        a->rows += s->rows;
        a->effects += s->effects;
        if (s->sqlstate != NULL) {
            struct reason *r = reason_of(&reasons, s);
            r->refused += s->rows;
            r->rows = a->rows;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (steps[i].sqlstate != NULL && !are_few(reason_of(&reasons, &steps[i]))) {
            steps[i].witness = WITNESS_NONE;
        }
    }
    free(reasons.list);
}
