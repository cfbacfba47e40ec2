/*
 * A YAML file as a tree of nodes that know where they stand. Takes the plain part of YAML: one
 * document of mappings, lists and scalars; anchors, aliases, tags, duplicate keys and keys that are
 * no scalars are refused, each with its position. Scalars stay text: what "off" means is for the
 * option that takes it.
 *
 * yaml_reader.c is the only file that knows libyaml. Main thread.
 */
#ifndef CONFIG_YAML_READER_H
#define CONFIG_YAML_READER_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "config/position.h"

#define DOCUMENT_DEPTH_MAX 16
/* Of one mapping or list: duplicates are found by comparing. */
#define DOCUMENT_CHILDREN_MAX 10000

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    struct position pos;
    struct str text; /* of a scalar; UTF-8, no NUL inside; absent for the others */
    bool plain;      /* a scalar without quotes */
    struct str key;  /* in a mapping: the key of this node, else absent */
    struct position key_pos;
    struct node *first; /* children of a list or mapping, in order */
    struct node *last;
    size_t count;
    struct node *next; /* sibling */
};

struct document {
    struct arena arena; /* holds all nodes and texts */
    struct node *root;
};

/* Reads the file. ERROR_SETUP, "path:line:column: text". */
bool reader_read(const char *path, struct document *out, struct error *err) _must_;
void document_done(struct document *d);

/* "a scalar", "a list", "a mapping": for messages. */
const char *node_kind_name(const struct node *n);

/* A plain scalar without text, or ~ or null. */
bool node_is_null(const struct node *n) _pure_;

#endif
