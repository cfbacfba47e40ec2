/*
 * The names that a mapping asks for, as a tree: node 0 is the whole document, a child is a field of
 * its parent. Built once (add, then seal), then read by every worker. A node's number is also the
 * number of the cell that receives it; a parent's number is smaller than its children's.
 *
 * A tree may have a policy for names (row/cell/names.h). It holds for the nodes that fields_add_row
 * has made, which are columns; other nodes are paths that users write, and found by their exact
 * names. A field can be both: then it is wanted twice.
 */
#ifndef ROW_CELL_FIELDS_H
#define ROW_CELL_FIELDS_H

#include "base/str.h"
#include "row/cell/names.h"

#include <string.h>

#define FIELD_NONE UINT32_MAX

/* This many bytes after a name that is passed to fields_find must be readable. */
#define FIELD_PADDING 8

/* A name that is longer, with its quotes and colon, has no literal: comparing with a literal may
 * read this many bytes of a text. */
#define FIELD_LITERAL_MAX 64

struct field {
    char *literal;    /* the name in quotes and a colon, padded; owned */
    struct str name;  /* in literal */
    size_t literal_n; /* 0: the name needs escaping or is long; it is never compared as a literal */
    uint32_t parent;
    uint32_t children;
    uint32_t slot; /* where its table of children starts */
    uint32_t mask; /* size of that table - 1 */
    bool of_row;   /* it is found by the policy, and in a table of its own ... */
    bool is_whole; /* it is wanted itself, and not only what is below it */
    uint32_t row_children;
    uint32_t row_slot;
    uint32_t row_mask;
};

struct fields {
    struct field *nodes;
    size_t count;
    size_t cap;
    uint32_t *slots; /* node numbers, FIELD_NONE = free */
    enum name_policy policy;
    uint64_t print; /* equal for sealed trees of the same names, structure and policy */
};

void fields_init(struct fields *f); /* one node: the root */
void fields_done(struct fields *f);

/* The child of that name, made if it is new. Not after fields_seal. */
uint32_t fields_add(struct fields *f, uint32_t parent, struct str name);

/* The same for the field of a column, which the policy of the tree finds. Without one it is
 * fields_add. */
uint32_t fields_add_row(struct fields *f, uint32_t parent, struct str name);

/* Builds the tables of children, and the print. */
void fields_seal(struct fields *f);

/* Is node below ancestor? */
bool fields_below(const struct fields *f, uint32_t node, uint32_t ancestor) _pure_;

/* Are these n bytes the same? False if n is 0. FIELD_PADDING bytes of both must be readable. */
static inline bool fields_same(const char *a, const char *b, size_t n)
{
    uint64_t words[4];

    if (n == 0) {
        return false;
    }
    if (n > 2 * sizeof *words) {
        return memcmp(a, b, n) == 0;
    }
    memcpy(&words[0], a, sizeof *words);
    memcpy(&words[1], b, sizeof *words);
    if (n <= sizeof *words) {
        return (words[0] ^ words[1]) << (64 - 8 * n) == 0;
    }
    memcpy(&words[2], a + n - sizeof *words, sizeof *words);
    memcpy(&words[3], b + n - sizeof *words, sizeof *words);
    return words[0] == words[1] && words[2] == words[3];
}

/* Mixes a name's length, its first and its last eight bytes; only ever compared with itself. */
static inline uint32_t fields_hash(struct str name)
{
    uint64_t first;
    uint64_t last = 0;

    memcpy(&first, name.p, sizeof first);
    if (name.n >= sizeof last) {
        memcpy(&last, name.p + name.n - sizeof last, sizeof last);
    } else {
        first &= (UINT64_C(1) << (8 * name.n)) - 1;
    }
    uint64_t h = (first ^ (last * UINT64_C(0x9E3779B97F4A7C15)) ^ name.n) *
                 UINT64_C(0xD6E8FEB86659FD93);
    return (uint32_t) (h >> 32);
}

/* Of a table of children. */
static inline uint32_t fields_find_in(const struct fields *f, uint32_t slot, uint32_t mask,
                                      struct str name)
{
    for (uint32_t i = fields_hash(name);; i++) {
        uint32_t node = f->slots[slot + (i & mask)];
        if (node == FIELD_NONE) {
            return FIELD_NONE;
        }
        struct str its = f->nodes[node].name;
        if (its.n == name.n && (its.n == 0 || fields_same(its.p, name.p, its.n))) {
            return node;
        }
    }
}

/* The child of that exact name, or FIELD_NONE. */
static inline uint32_t fields_find(const struct fields *f, uint32_t parent, struct str name)
{
    const struct field *p = &f->nodes[parent];

    return p->children == 0 ? FIELD_NONE : fields_find_in(f, p->slot, p->mask, name);
}

/* The child that the policy finds for a field of that name, or FIELD_NONE. One of exactly this name
 * is preferred. */
uint32_t fields_find_row(const struct fields *f, uint32_t parent, struct str name) _pure_;

#endif
