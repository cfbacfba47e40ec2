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

bool teacher_teach(struct teacher *t, struct decoder *d, struct error *err)
{
    const struct schema_ref ref = *decoder_lacks(d);
    const struct schema *schema = NULL;

    if (t->source == NULL) {
        t->source = schema_source_new(t->cfg, t->stop_fd);
    }
    bool found = schema_source_get(t->source, &ref, t->conn, &schema, err);
    if (!found && err->class != ERROR_RECORD && err->class != ERROR_SETUP) {
        return false; /* nothing has been said of the schema itself */
    }
    decoder_learn(d, &ref, schema, found ? NULL : err);
    schema_drop(schema);
    return true;
}
