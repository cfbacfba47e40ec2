/*
 * By what a record names the schema that it was written with: the key of every table of schemas.
 * Plain data without padding that counts; any thread.
 */
#ifndef ROW_SCHEMA_SCHEMA_REF_H
#define ROW_SCHEMA_SCHEMA_REF_H

#include "base/base.h"

#include <string.h>

/* What the number is, or that there is none. Numbers of different kinds name different things. */
enum schema_ref_kind {
    SCHEMA_REF_NONE,
    SCHEMA_REF_ID,      /* Confluent's: of a schema within its registry, and context */
    SCHEMA_REF_GUID,    /* Confluent's, from version 8 on */
    SCHEMA_REF_GLOBAL,  /* Apicurio's globalId: a version of an artifact */
    SCHEMA_REF_CONTENT, /* Apicurio's contentId */
    /* The newest one of a subject, whose text stands elsewhere: `id` is its number in a list of its
     * owner's. */
    SCHEMA_REF_SUBJECT,
};

struct schema_ref {
    enum schema_ref_kind kind;
    int64_t id;
    uint8_t guid[16];
};

static inline bool schema_ref_same(const struct schema_ref *a, const struct schema_ref *b)
{
    return a->kind == b->kind && a->id == b->id && memcmp(a->guid, b->guid, sizeof a->guid) == 0;
}

#endif
