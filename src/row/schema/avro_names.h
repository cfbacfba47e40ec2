/*
 * The named types of an Avro schema, by their full names. One thread.
 */
#ifndef ROW_SCHEMA_AVRO_NAMES_H
#define ROW_SCHEMA_AVRO_NAMES_H

#include "base/buf.h"
#include "row/schema/shape.h"

struct avro_names {
    const struct shape **slots; /* a hash table; NULL = free */
    size_t cap;                 /* a power of two, or 0 */
    size_t count;
};

void avro_names_done(struct avro_names *n);

/* The shape of that full name, or NULL. */
const struct shape *avro_names_find(const struct avro_names *n, struct str name) _pure_;

/* Adds a shape by its `name`, which must live as long. False: there is one of that name. */
bool avro_names_add(struct avro_names *n, const struct shape *shape) _must_;

/* The full name of `name` within the namespace `space` (empty: none): either `name` itself or in
 * `room`, until that is used again. */
struct str avro_full_name(struct buf *room, struct str space, struct str name);

/* What stands before the last dot of a full name; empty if there is none. */
struct str avro_space_of(struct str name) _pure_;

#endif
