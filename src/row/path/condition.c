/* A compiled condition: its life, and its answer for one record. */
#include "row/path/condition.h"

#include "base/mem.h"
#include "row/cell/compare.h"
#include "row/path/condition_tree.h"

#include <stdlib.h>

struct condition *condition_new(const char *text, struct error *err)
{
    struct condition *c = mem_zalloc(sizeof *c);

    return condition_parse(c, text, err) ? c : condition_free(c);
}

struct condition *condition_free(struct condition *c)
{
    if (c != NULL) {
        for (size_t i = 0; i < c->path_count; i++) {
            path_done(&c->paths[i].path);
        }
        free(c->paths);
        free(c->nodes);
        free(c->literals);
        arena_done(&c->texts);
        free(c);
    }
    return NULL;
}

size_t condition_path_count(const struct condition *c)
{
    return c->path_count;
}

const struct path *condition_path(const struct condition *c, size_t i)
{
    return &c->paths[i].path;
}

void condition_bind(struct condition *c, size_t i, uint32_t cell)
{
    c->paths[i].cell = cell;
}

/* ---- the answer ---- */

static const struct cell *operand(const struct condition *c, const struct operand *o,
                                  const struct cell *cells)
{
    return o->is_path ? &cells[c->paths[o->index].cell] : &c->literals[o->index];
}

static bool compare(enum comparison wanted, const struct cell *a, const struct cell *b)
{
    if (a->kind <= CELL_NULL || b->kind <= CELL_NULL) {
        return false;
    }
    enum cell_order order = compare_cells(a, b);
    switch (wanted) {
    case EQUAL:
        return order == CELL_EQUAL;
    case NOT_EQUAL:
        return order != CELL_EQUAL;
    case LESS:
        return order == CELL_LESS;
    case LESS_EQUAL:
        return order == CELL_LESS || order == CELL_EQUAL;
    case GREATER:
        return order == CELL_GREATER;
    case GREATER_EQUAL:
        return order == CELL_GREATER || order == CELL_EQUAL;
    }
    __builtin_unreachable();
}

static bool is_one_of(const struct condition *c, const struct condition_node *n,
                      const struct cell *cell)
{
    if (cell->kind <= CELL_NULL) {
        return false;
    }
    bool found = false;
    for (uint32_t i = 0; i < n->literal_count && !found; i++) {
        found = compare_cells(cell, &c->literals[n->right.index + i]) == CELL_EQUAL;
    }
    return found != n->negated;
}

/* What a test without others below it says. */
static bool test(const struct condition *c, const struct condition_node *n,
                 const struct cell *cells)
{
    static const struct cell truth = {.kind = CELL_BOOL, .truth = true};
    const struct cell *left = operand(c, &n->left, cells);

    switch (n->kind) {
    case CONDITION_COMPARE:
        return compare(n->comparison, left, operand(c, &n->right, cells));
    case CONDITION_IN:
        return is_one_of(c, n, left);
    case CONDITION_NULL:
        return (left->kind <= CELL_NULL) != n->negated;
    case CONDITION_EXISTS:
        return left->kind != CELL_ABSENT;
    case CONDITION_TRUE:
        return compare(EQUAL, left, &truth);
    case CONDITION_AND:
    case CONDITION_OR:
    case CONDITION_NOT:
        break;
    }
    __builtin_unreachable();
}

static bool holds(const struct condition *c, uint32_t node, const struct cell *cells);

/* Of the nodes below: does any answer so? */
static bool any_is(const struct condition *c, const struct condition_node *n, bool answer,
                   const struct cell *cells)
{
    for (uint32_t i = n->first; i != NODE_NONE; i = c->nodes[i].next) {
        if (holds(c, i, cells) == answer) {
            return true;
        }
    }
    return false;
}

/* As deep as the parser allows. */
static bool holds(const struct condition *c, uint32_t node, const struct cell *cells)
{
    const struct condition_node *n = &c->nodes[node];

    if (n->kind == CONDITION_OR) {
        return any_is(c, n, true, cells);
    }
    if (n->kind == CONDITION_AND) {
        return !any_is(c, n, false, cells);
    }
    return n->kind == CONDITION_NOT ? !holds(c, n->first, cells) : test(c, n, cells);
}

bool condition_holds(const struct condition *c, const struct cell *cells)
{
    return holds(c, c->root, cells);
}
