/*
 * The table static_members: with which topics a static member (group.instance.id) has joined its
 * group last. Blocking. @thread scout
 */
#ifndef PG_MEMBERS_H
#define PG_MEMBERS_H

#include "base/error.h"
#include "pg/conn.h"

/* Texts are borrowed. */
struct members_key {
    const char *schema;
    const char *sink;
    const char *instance_id;
};

/*
 * The topics, in the order in which they were written; each, and the array, is freed by the caller.
 * *out_found is false where nothing is written down. ERROR_SETUP: a right is missing; ERROR_LINK.
 */
bool members_read(struct conn *c, const struct members_key *key, bool *out_found, char ***out,
                  size_t *out_n, struct error *err) _must_;

/* Writes them down in the place of what there was. Errors as above. */
bool members_write(struct conn *c, const struct members_key *key, char *const *topics, size_t n,
                   struct error *err) _must_;

#endif
