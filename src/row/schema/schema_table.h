/*
 * Which schema a ref names, as far as it is known: what main has learned of the registry, and what
 * each worker has been given of it. Of one thread; the schemas themselves are shared.
 */
#ifndef ROW_SCHEMA_SCHEMA_TABLE_H
#define ROW_SCHEMA_SCHEMA_TABLE_H

#include "base/error.h"
#include "row/schema/schema_ref.h"
#include "row/schema/shape.h"

struct schema_entry {
    struct schema_ref ref;
    const struct schema *schema; /* a reference of the table's; NULL: it is not known, */
    struct error *fault;         /*   for this reason; NULL: it has been asked for */
    uint64_t until;              /* what its owner takes it for */
    struct schema_entry *next;   /* of the same bucket */
    struct schema_entry *older;
    struct schema_entry *newer;
};

/* Starts as zeros. */
struct schema_table {
    struct schema_entry **buckets;
    size_t size; /* a power of two; 0: no bucket yet */
    size_t count;
    uint64_t bytes; /* that schemas and faults hold */
    size_t faults;
    struct schema_entry *oldest;
    struct schema_entry *newest;
};

void schema_table_done(struct schema_table *t);

/* NULL: it is not there. */
struct schema_entry *schema_table_find(const struct schema_table *t, const struct schema_ref *ref);

/* A new one, of which nothing is known; it is not there yet. */
struct schema_entry *schema_table_add(struct schema_table *t, const struct schema_ref *ref);

/* What is known of it now, instead of what was known: the table holds the schema for itself and
 * copies the fault; one of them, or none, is not NULL. */
void schema_table_set(struct schema_table *t, struct schema_entry *e, const struct schema *schema,
                      const struct error *fault);

void schema_table_remove(struct schema_table *t, struct schema_entry *e);

#endif
