/*
 * A YAML file as a tree of nodes that know where they stand. It takes the plain part of YAML: one
 * document of mappings, lists and scalars. Anchors, aliases, tags, duplicate keys and keys that are
 * not scalars are refused, each with its position. Scalars stay text: what "off" means is decided
 * by the option that takes it.
 *
 * yaml_reader.c is the only file that knows libyaml, whose names begin with yaml_ too; none of the
 * names here is one of libyaml's. Main thread.
 */
#ifndef CONFIG_YAML_READER_H
#define CONFIG_YAML_READER_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "config/position.h"

#define YAML_DEPTH_MAX 16
#define YAML_CHILDREN_MAX 10000 /* of one node: each key is compared with all before it */

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    struct position pos;
    struct str text; /* of a scalar; UTF-8, no NUL inside; absent for the others */
    bool plain;      /* a scalar without quotes */
    bool cut;        /* a plain scalar that ends at a # without a blank after it */
    struct str key;  /* in a mapping: the key of this node, else absent */
    struct position key_pos;
    struct yaml_node *first; /* children of a list or mapping, in order */
    struct yaml_node *last;
    size_t count;
    struct yaml_node *next; /* sibling */
};

struct yaml_document {
    struct arena arena; /* holds all nodes and texts */
    struct yaml_node *root;
};

/*
 * Reads the file into *out, which the caller gives back with yaml_document_done. ERROR_SETUP,
 * "path:line:column: text".
 */
bool yaml_document_read(const char *path, struct yaml_document *out, struct error *err) _must_;
void yaml_document_done(struct yaml_document *d);

/* "a single value", "a list", "a mapping", "nothing": for messages. */
const char *yaml_node_kind_name(const struct yaml_node *n);

/* A plain scalar without text, or ~ or null. */
bool yaml_node_is_null(const struct yaml_node *n) _pure_;

#endif
