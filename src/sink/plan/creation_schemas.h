/*
 * What the records of a route are written with, as far as a table is made from it: the schema part
 * of Connect's JSON, or the schemas of a registry. The registry is not asked here. What is lacking
 * is noted, and whoever may wait asks for it and calls again: main by the registrar, a command by
 * itself. Pure; any thread.
 */
#ifndef SINK_PLAN_CREATION_SCHEMAS_H
#define SINK_PLAN_CREATION_SCHEMAS_H

#include "base/error.h"
#include "config/config.h"
#include "row/message.h"
#include "row/schema/schema_ref.h"
#include "row/schema/shape.h"

/* One schema of the registry. */
struct creation_schema {
    struct schema_ref ref;       /* SCHEMA_REF_NONE: the newest of the topic's subject, */
    bool of_key;                 /*   of its keys, or of its values */
    const struct schema *schema; /* a reference of the list's; NULL: it is not known, */
    struct error fault;          /*   for this reason; ERROR_NONE: it has not been asked for */
};

/* Starts as zeros. */
struct creation_schemas {
    struct creation_schema *items;
    size_t count;
    size_t cap;
};

void creation_schemas_done(struct creation_schemas *s);

/* The first that has not been asked for; NULL: there is none. */
struct creation_schema *creation_schemas_lack(const struct creation_schemas *s) _pure_;

/* Starts as zeros; creation_written_done gives it back. */
struct creation_written {
    const struct schema *value_schema; /* references of its own; NULL: there is none */
    const struct schema *key_schema;
    const struct shape *value;
    const struct shape *key; /* NULL: it has none, or it is not known */
};

void creation_written_done(struct creation_written *w);

/* Are schemas of a registry what the values of the route are written with? */
bool creation_has_registry(const struct config_route *route) _pure_;

/*
 * What this record was written with; with wants_key its key as well, where that has a schema.
 * ERROR_AGAIN: `known` lacks one. ERROR_SETUP, ERROR_RECORD: the record says none, or it cannot be
 * used.
 */
bool creation_read_record(const struct config_route *route, bool wants_key,
                          struct creation_schemas *known, const struct message *record,
                          struct creation_written *out, struct error *err) _must_;

/* What records of the topic will be written with, as its subjects say. Errors as above. */
bool creation_read_subjects(const struct config_route *route, bool wants_key,
                            struct creation_schemas *known, struct creation_written *out,
                            struct error *err) _must_;

#endif
