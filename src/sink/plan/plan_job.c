/* A table looked up, and the mapping of a route compiled onto it, see plan_job.h. */
#include "sink/plan/plan_job.h"

#include "pg/catalog.h"
#include "pg/sqlstate.h"
#include "sink/plan/plan_spec.h"

#include <stdlib.h>
#include <string.h>

struct plan_job *plan_job_free(struct plan_job *job)
{
    if (job != NULL) {
        free(job->table_name);
        mapping_free(job->mapping);
        chooser_free(job->chooser);
        table_free(job->table);
        free(job);
    }
    return NULL;
}

/* The mapping, and for a route whose records name the table the chooser. */
static bool compile(struct plan_job *job, struct plan_spec *s, struct error *err)
{
    const struct config_route *route = &job->cfg->routes[job->route];

    s->mapping.number = job->number;
    job->mapping = mapping_new(job->table, &s->mapping, job->target_id, err);
    if (job->mapping == NULL) {
        /* Some of its texts name the table. */
        return strstr(err->text, job->table->quoted) == NULL &&
               error_wrap(err, "table %s", job->table->quoted);
    }
    if (route->table.is_by_record) {
        job->chooser = chooser_new(&s->mapping, err);
    }
    return job->chooser != NULL || !route->table.is_by_record;
}

/* Where the file names this table. */
static struct position table_place(const struct config_route *route, const char *name)
{
    for (size_t i = 0; i < route->tables.count; i++) {
        if (strcmp(route->tables.items[i], name) == 0) {
            return route->tables.places[i];
        }
    }
    return route->table_pos;
}

static struct table *read_table(const struct plan_job *job, const struct config_route *route,
                                struct conn *c, struct error *err)
{
    const char *schema = route->table.schema;

    if (job->as_granted) {
        return catalog_table_as_granted(c, schema, job->table_name, err);
    }
    return route->mode == MODE_UPDATE
               ? catalog_table_without_insert(c, schema, job->table_name, err)
               : catalog_table(c, schema, job->table_name, err);
}

bool plan_job_run(struct plan_job *job, struct conn *c, struct error *err)
{
    const struct config_route *route = &job->cfg->routes[job->route];

    if (strlen(job->table_name) > TABLE_NAME_MAX) {
        return config_error_at(job->cfg, route->table_pos, err,
                               "the table's name '%s' is longer than %d bytes", job->table_name,
                               TABLE_NAME_MAX);
    }
    job->table = read_table(job, route, c, err);
    if (job->table == NULL) {
        if (err->class == ERROR_SETUP) {
            config_error_locate(job->cfg, table_place(route, job->table_name), err);
        }
        return false;
    }
    _cleanup_(plan_spec_done) struct plan_spec s;
    plan_spec_init(&s, route);
    if (!compile(job, &s, err)) {
        return config_error_locate(job->cfg, plan_spec_place(&s, route, err), err);
    }
    if (!catalog_check_target(c, mapping_target(job->mapping), err)) {
        bool is_known = (job->table->lacks & mapping_needs(job->mapping)) != 0;
        if (is_known && sqlstate_is(err->sqlstate, SQLSTATE_INSUFFICIENT_PRIVILEGE)) {
            return true; /* the caller says what is missing */
        }
        error_wrap(err, "table %s", job->table->quoted);
        s.part = MAPPING_COLUMN;
        return err->class == ERROR_SETUP
                   ? config_error_locate(job->cfg, plan_spec_place(&s, route, err), err)
                   : false;
    }
    return true;
}
