/*
 * Which schema a ref names, found out by asking: pgsinkd's own table, then the registry, with
 * everything to which the schema refers. Blocking, and one thread at a time: the registrar's, the
 * scout's for a replay, a command's.
 */
#ifndef SINK_SCHEMAS_SCHEMA_SOURCE_H
#define SINK_SCHEMAS_SCHEMA_SOURCE_H

#include "config/config.h"
#include "pg/schema_texts.h"
#include "registry/registry.h"
#include "row/schema/schema_ref.h"
#include "row/schema/shape.h"

/* All texts of one schema together; what is compiled from them is larger. */
#define SCHEMA_SOURCE_BYTES (UINT64_C(16) << 20)
#define SCHEMA_SOURCE_PARTS 2000U

struct schema_source;

/* cfg must outlive it, or be replaced; it has a registry. stop_fd: a question ends early then. */
struct schema_source *schema_source_new(const struct config *cfg, int stop_fd) _must_;
struct schema_source *schema_source_free(struct schema_source *s); /* returns NULL */
void schema_source_configure(struct schema_source *s, const struct config *cfg);

/* Appends what the ref is called in messages and in the table: "id 7", "guid 0a1b...",
 * "globalId 7", "contentId 7". */
void schema_source_ref_text(const struct schema_ref *ref, struct buf *out);

/*
 * Asks the registry. FOUND: *out is what it says, the caller's; *out_encrypted: its rules say that
 * fields arrive encrypted. The outcomes and errors of registry_get.
 */
enum registry_outcome schema_source_fetch(struct schema_source *s, const struct schema_ref *ref,
                                          struct schema_text *out, bool *out_encrypted,
                                          struct error *err) _must_;

/* The newest schema of a subject, as fetch. The registry is at least asked, whatever it has. */
enum registry_outcome schema_source_latest(struct schema_source *s, const char *subject,
                                           struct schema_text *out, struct error *err) _must_;

/* The subject of a topic's values. */
void schema_source_subject(const struct config *cfg, const char *topic, struct buf *out);
/* That of its keys, as Confluent's serializers name it. */
void schema_source_key_subject(const char *topic, struct buf *out);

/* Asks pgsinkd's own table, and writes what the registry has said into it. c is ready. Errors as
 * those of pg/schema_texts.h. */
bool schema_source_recall(const struct config *cfg, const struct schema_ref *ref, struct conn *c,
                          bool *out_found, struct schema_text *out, struct error *err) _must_;
bool schema_source_keep(const struct config *cfg, const struct schema_ref *ref, struct conn *c,
                        const struct schema_text *t, struct error *err) _must_;

/* ERROR_SETUP: it cannot be read, or is of no language that is known. *out is the caller's to
 * drop. */
bool schema_source_compile(const struct schema_text *t, const struct schema **out,
                           struct error *err) _must_;

/*
 * All of it at once, asking each once: c, which is ready, or NULL for none, then the registry,
 * which is believed at once; what it says is kept. ERROR_RECORD: it does not know the ref;
 * ERROR_SETUP: the schema cannot be used, or somebody must act before the registry answers;
 * ERROR_LINK: it does not answer now.
 */
bool schema_source_get(struct schema_source *s, const struct schema_ref *ref, struct conn *c,
                       const struct schema **out, struct error *err) _must_;

#endif
