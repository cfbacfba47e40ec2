/* See teacher.h. */
#include "sink/schemas/teacher.h"

#include "base/mem.h"
#include "sink/schemas/schema_source.h"

#include <stdlib.h>

struct teacher {
    const struct config *cfg;
    struct conn *conn;
    int stop_fd;
    struct schema_source *source; /* made when it is first needed */
};

struct teacher *teacher_new(const struct config *cfg, struct conn *conn, int stop_fd)
{
    struct teacher *t = mem_zalloc(sizeof *t);

    *t = (struct teacher){.cfg = cfg, .conn = conn, .stop_fd = stop_fd};
    return t;
}

struct teacher *teacher_free(struct teacher *t)
{
    if (t != NULL) {
        schema_source_free(t->source);
        free(t);
    }
    return NULL;
}

static void begin(struct teacher *t)
{
    if (t->source == NULL) {
        t->source = schema_source_new(t->cfg, t->stop_fd);
    }
}

bool teacher_teach(struct teacher *t, struct decoder *d, struct error *err)
{
    const struct schema_ref ref = *decoder_lacks(d);
    const struct schema *schema = NULL;

    begin(t);
    bool found = schema_source_get(t->source, &ref, t->conn, &schema, err);
    if (!found && err->class != ERROR_RECORD && err->class != ERROR_SETUP) {
        return false; /* nothing has been said of the schema itself */
    }
    decoder_learn(d, &ref, schema, found ? NULL : err);
    schema_drop(schema);
    return true;
}

static enum registry_outcome fetch_newest(struct teacher *t, const char *topic, bool of_key,
                                          struct schema_text *out, struct error *err)
{
    _cleanup_buf_ struct buf subject = {0};

    if (of_key) {
        schema_source_key_subject(topic, &subject);
    } else {
        schema_source_subject(t->cfg, topic, &subject);
    }
    enum registry_outcome outcome = schema_source_latest(t->source, buf_cstr(&subject), out, err);
    if (outcome != REGISTRY_FOUND) {
        error_wrap(err, "subject '%s'", buf_cstr(&subject));
    }
    return outcome;
}

static enum registry_outcome fetch_numbered(struct teacher *t, const struct schema_ref *ref,
                                            struct schema_text *out, struct error *err)
{
    _cleanup_buf_ struct buf name = {0};
    bool ignored;
    enum registry_outcome outcome = schema_source_fetch(t->source, ref, out, &ignored, err);

    if (outcome != REGISTRY_FOUND) {
        schema_source_ref_text(ref, &name);
        error_wrap(err, "schema %s", buf_cstr(&name));
    }
    return outcome;
}

bool teacher_complete(struct teacher *t, const char *topic, struct creation_schemas *schemas,
                      struct error *err)
{
    struct creation_schema *s;

    begin(t);
    while ((s = creation_schemas_lack(schemas)) != NULL) {
        struct schema_text text = {0};
        enum registry_outcome outcome = s->ref.kind == SCHEMA_REF_NONE
                                            ? fetch_newest(t, topic, s->of_key, &text, &s->fault)
                                            : fetch_numbered(t, &s->ref, &text, &s->fault);
        if (outcome == REGISTRY_AWAY) {
            *err = s->fault;
            return false;
        }
        if (outcome == REGISTRY_FOUND) {
            s->fault.class = ERROR_NONE;
            (void) !schema_source_compile(&text, &s->schema, &s->fault);
            schema_text_done(&text);
        }
    }
    return true;
}
