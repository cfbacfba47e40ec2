/*
 * Which meanings suit a column: what both readers of schemas ask (logical.c reads the JSON of a
 * schema part, logical_shape.c a shape). Pure; any thread.
 */
#ifndef ROW_SCHEMA_LOGICAL_FIT_H
#define ROW_SCHEMA_LOGICAL_FIT_H

#include "row/schema/logical.h"

bool logical_is_bits(const struct column *c) _pure_;  /* bit(n) or bit varying */
bool logical_is_point(const struct column *c) _pure_; /* PostgreSQL's own, not PostGIS's */
bool logical_is_set(const struct column *c) _pure_;   /* an array of labels */

/* Would the column store the plain value in another way than this one? */
bool logical_suits(enum logical_kind kind, const struct column *c) _pure_;

/* What n bits become in the column; 0: the source has not said how many there are. Fills what
 * concerns bits. */
void logical_bits_into(const struct column *c, int32_t n, struct logical *out);

/* A string about which the schema says no more: many things are strings to a source, its documents
 * too, and bytes as hexadecimal digits. Fills the kind, or leaves it. */
void logical_of_string(const struct column *c, const struct logical_rules *rules,
                       struct logical *out);

#endif
