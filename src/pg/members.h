/*
 * The table static_members: the topics with which a static member (group.instance.id) last joined
 * its group. Blocking. @thread scout
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
 * The topics, in the order in which they were written; the caller frees each, and the array.
 * *out_found is false where nothing has been written. ERROR_SETUP: a right is missing; ERROR_LINK.
 */
bool members_read(struct conn *c, const struct members_key *key, bool *out_found, char ***out,
                  size_t *out_n, struct error *err) _must_;

/* Writes them, in place of what was there. Errors as above. */
bool members_write(struct conn *c, const struct members_key *key, char *const *topics, size_t n,
                   struct error *err) _must_;

#endif
