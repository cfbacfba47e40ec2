/*
 * The table `schemas`: what the registry has said of the schemas that records name, kept so that a
 * start, and a replay of old records, need no registry. A number never changes its schema, so a row
 * is written once. Blocking; the thread whose connection it is.
 */
#ifndef PG_SCHEMA_TEXTS_H
#define PG_SCHEMA_TEXTS_H

#include "base/error.h"
#include "pg/conn.h"

/* A text to which a schema refers, under the name that it uses. */
struct schema_text_part {
    char *name;
    char *text;
};

/* A schema as a registry has it. Owns its texts. */
struct schema_text {
    char *type; /* as registries name languages: "AVRO" */
    char *text;
    struct schema_text_part *parts; /* each before whatever needs it */
    size_t part_count;
};

void schema_text_done(struct schema_text *t); /* empty, and usable again */

/* Whose row: texts are borrowed. */
struct schema_text_key {
    const char *schema;   /* of ours */
    const char *registry; /* registry_name */
    const char *ref;      /* "id 7" */
};

/* *out_found: there is such a row, and *out is it. ERROR_LINK; ERROR_SETUP: a right is missing. */
bool schema_text_read(struct conn *c, const struct schema_text_key *key, bool *out_found,
                      struct schema_text *out, struct error *err) _must_;

/* Writes it, unless it is there. Errors as above; ERROR_RECORD: PostgreSQL cannot store it. */
bool schema_text_write(struct conn *c, const struct schema_text_key *key,
                       const struct schema_text *t, struct error *err) _must_;

#endif
