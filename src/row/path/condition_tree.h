/* The compiled form of a condition; made by condition_parse.c, followed by condition.c. */
#ifndef ROW_PATH_CONDITION_TREE_H
#define ROW_PATH_CONDITION_TREE_H

#include "base/arena.h"
#include "row/path/condition.h"

#define NODE_NONE UINT32_MAX

enum condition_kind {
    CONDITION_AND, /* of all nodes below */
    CONDITION_OR,
    CONDITION_NOT,
    CONDITION_COMPARE,
    CONDITION_IN,
    CONDITION_NULL,
    CONDITION_EXISTS,
    CONDITION_TRUE,
};

enum comparison { EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL };

struct operand {
    bool is_path;
    uint32_t index; /* into the paths or the literals */
};

struct condition_node {
    enum condition_kind kind;
    bool negated;               /* CONDITION_IN, CONDITION_NULL: `not in`, `is not null` */
    enum comparison comparison; /* CONDITION_COMPARE */
    struct operand left;
    struct operand right;   /* CONDITION_COMPARE; the first literal of CONDITION_IN */
    uint32_t literal_count; /* CONDITION_IN */
    uint32_t first;         /* AND, OR, NOT: the first node below */
    uint32_t next;          /* the next one beside it; NODE_NONE = the last */
};

struct condition_path {
    struct path path; /* owned */
    struct str text;  /* as it is printed */
    uint32_t cell;
};

struct condition {
    struct condition_node *nodes;
    size_t node_count;
    size_t node_cap;
    struct condition_path *paths;
    size_t path_count;
    size_t path_cap;
    struct cell *literals;
    size_t literal_count;
    size_t literal_cap;
    struct arena texts; /* of paths and literals */
    uint32_t root;
};

/* Fills *c, which is zeroed. On failure it holds what condition_free takes. ERROR_SETUP. */
bool condition_parse(struct condition *c, const char *text, struct error *err) _must_;

#endif
