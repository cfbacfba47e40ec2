/* See creating.h. Scout thread. */
#include "sink/scout/creating.h"

#include "base/log.h"
#include "pg/create.h"
#include "sink/plan/creation.h"

/* The hint has the statement, where the role may not run it itself. */
static bool create_refused(const struct creation *x, struct buf *ddl, struct error *err)
{
    enum { HINT_MAX = 300 };

    if (err->class != ERROR_SETUP) {
        return false;
    }
    error_wrap(err, "table '%s' does not exist and cannot be created", x->table);
    if (ddl->n > HINT_MAX) {
        return error_hint(err, "Create it, or grant the role CREATE on its schema: pgsinkd check "
                               "prints the statement.");
    }
    return error_hint(err, "Create it, or grant the role CREATE on its schema: %s", buf_cstr(ddl));
}

/* A missing table from the newest record of the topic. err says that it is missing, and is
 * replaced. */
static bool create_missing(const struct plan_job *job, const char *topic,
                           struct creation_schemas *schemas, struct client *client,
                           struct conn *conn, usec_t timeout, struct error *err)
{
    const struct config_route *route = &job->cfg->routes[job->route];
    const struct creation x = {
        .cfg = job->cfg,
        .route = job->route,
        .topic = topic,
        .table = job->table_name,
        .schemas = schemas,
    };
    _cleanup_buf_ struct buf ddl = {0};
    bool created = false;

    if (!creation_print_newest(&x, client, timeout, &ddl, err)) {
        return err->class == ERROR_SETUP
                   ? error_wrap(err, "table '%s' does not exist", job->table_name)
                   : false;
    }
    if (!create_table(conn, route->table.schema, job->table_name, buf_cstr(&ddl), &created, err)) {
        return create_refused(&x, &ddl, err);
    }
    if (created) {
        log_event(LOG(table_created), job->table_name, topic);
    }
    return true;
}

bool creating_is_wanted(const struct plan_job *job, const struct error *err)
{
    return creation_is_wanted(&job->cfg->routes[job->route], err);
}

bool creating_run_job(struct plan_job *job, const char *topic, struct creation_schemas *schemas,
                      struct client *client, struct conn *conn, usec_t timeout, struct error *err)
{
    return create_missing(job, topic, schemas, client, conn, timeout, err) &&
           plan_job_run(job, conn, err);
}
