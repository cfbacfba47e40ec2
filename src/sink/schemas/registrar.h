/*
 * The thread that asks the schema registry, so that neither claims nor heartbeats wait for it,
 * which the scout has. It exists only with `registry.url`. A question is answered when there is an
 * answer: from pgsinkd's own table, or from the registry, which is tried again for as long as it is
 * away.
 */
#ifndef SINK_SCHEMAS_REGISTRAR_H
#define SINK_SCHEMAS_REGISTRAR_H

#include "base/mailbox.h"
#include "config/config.h"
#include "row/schema/schema_ref.h"
#include "row/schema/shape.h"

enum schema_mail_kind {
    /* which schema does ref name? or which is the newest of subject, of which nothing is kept?
     * schema, or error (RECORD, SETUP) */
    SCHEMA_ASK,
    SCHEMA_CONFIGURE, /* cfg: from now on; what was asked before is asked as that says */
    SCHEMA_AWAY,      /* only an answer: the registry does not answer; error */
    SCHEMA_BACK,      /* only an answer: it does again */
    SCHEMA_ENCRYPTED, /* only an answer: fields of ref's records arrive encrypted */
    SCHEMA_REFUSED,   /* only an answer, once: PostgreSQL refuses to read or keep schemas; error */
};

/* Question and answer in one block, which belongs to the thread that holds it. */
struct schema_mail {
    struct mail mail;
    enum schema_mail_kind kind;
    struct schema_ref ref;
    char *subject;               /* owned; NULL: it is about ref */
    const struct schema *schema; /* ASK, answered: a reference of the mail's */
    struct error error;
    const struct config *cfg; /* CONFIGURE */
    bool is_other;            /* CONFIGURE: its numbers may name other schemas */
};

struct schema_mail *schema_mail_new(enum schema_mail_kind kind) _must_;
void schema_mail_free(struct schema_mail *m); /* drops its schema */

struct registrar;

/* answers is main's mailbox; cfg has a registry, or is replaced by one that has. @thread main */
struct registrar *registrar_start(const struct config *cfg, struct mailbox *answers) _must_;

/* The registrar takes ownership. @thread main */
void registrar_ask(struct registrar *r, struct schema_mail *m);

/* Asks the thread to end, and waits; false: it has not ended in time, and still runs. @thread main
 */
bool registrar_stop(struct registrar *r, usec_t timeout) _must_;

#endif
