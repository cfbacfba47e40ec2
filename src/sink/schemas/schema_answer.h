/*
 * What a registry has answered, read strictly: JSON as Confluent's registry and Apicurio's write
 * it. Pure; any thread.
 */
#ifndef SINK_SCHEMAS_SCHEMA_ANSWER_H
#define SINK_SCHEMAS_SCHEMA_ANSWER_H

#include "base/error.h"
#include "base/str.h"

/* The parts that one schema may refer to directly. */
#define SCHEMA_ANSWER_PARTS 1000U

/* What a schema refers to: Confluent's subject and version, or Apicurio's group, artifact and
 * version. Owned. */
struct schema_link {
    char *name;
    char *group; /* NULL: Confluent's */
    char *subject;
    char *version;
};

/* Owns its texts. */
struct schema_answer {
    char *type; /* "AVRO" where the registry leaves it out */
    char *text;
    struct schema_link *links;
    size_t link_count;
    bool is_encrypted; /* its rules say that fields arrive encrypted */
};

/* ERROR_SETUP: it is not what such a registry answers. *out is freed by the caller if it is true.
 */
bool schema_answer_read(struct str body, struct schema_answer *out, struct error *err) _must_;

/* The same of Apicurio's list of references: only links are filled in. */
bool schema_answer_read_links(struct str body, struct schema_answer *out, struct error *err) _must_;

void schema_answer_done(struct schema_answer *a);

/* What a text without a type looks like: "AVRO", "JSON", or else "PROTOBUF". */
const char *schema_answer_guess(struct str text);

#endif
