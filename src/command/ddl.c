/* See ddl.h. */
#include "command/ddl.h"

#include "sink/plan/creation.h"
#include "sink/schemas/teacher.h"

#define LOOKUP_TIMEOUT (10 * USEC_PER_SEC)

/* Each round names what it lacks; while it is asked for, the newest record may have become another
 * one. */
enum { ROUNDS_MOST = 10 };

bool ddl_print(const struct plan_job *job, const char *topic, struct client *client,
               struct buf *out, struct error *err)
{
    struct creation_schemas schemas = {0};
    const struct creation x = {
        .cfg = job->cfg,
        .route = job->route,
        .topic = topic,
        .table = job->table_name,
        .schemas = &schemas,
    };
    struct teacher *t = teacher_new(job->cfg, NULL, -1);
    bool ok = false;
    bool again = true;

    for (int i = 0; !ok && again && i < ROUNDS_MOST; i++) {
        ok = creation_print_newest(&x, client, LOOKUP_TIMEOUT, out, err);
        again = creation_schemas_lack(&schemas) != NULL &&
                teacher_complete(t, topic, &schemas, err);
    }
    teacher_free(t);
    creation_schemas_done(&schemas);
    return ok;
}
