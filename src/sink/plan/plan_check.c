/* Each route compiled as far as it can be without its table, see plan_check.h. */
#include "sink/plan/plan_check.h"

#include "pg/expression.h"
#include "row/mapping/chooser.h"
#include "row/schema/protobuf_schema.h"
#include "sink/plan/plan_spec.h"

#include <string.h>

/* What is there is wrong; what could not be read may be right. */
static bool fault_at(const struct config *cfg, struct position pos, struct error *err)
{
    return config_lacks(cfg, pos) || config_error_locate(cfg, pos, err);
}

/* The path itself, where an entry of columns: has several. */
static struct position value_place(const struct plan_spec *s, const struct config_route *route,
                                   size_t value, const struct error *err)
{
    for (size_t i = 0; s->part == MAPPING_COLUMN && i < route->columns.count; i++) {
        const struct config_column *c = &route->columns.items[i];
        if (strcmp(c->column, err->column) == 0 && value < c->value_count) {
            return c->values[value].pos;
        }
    }
    return plan_spec_place(s, route, err);
}

static bool check_expressions(const struct config *cfg, const struct config_route *route,
                              struct error *err)
{
    for (size_t i = 0; i < route->columns.count; i++) {
        const struct config_column *c = &route->columns.items[i];
        if (c->sql != NULL && !expression_check(c->sql, err)) {
            error_wrap(err, "column '%s'", c->column);
            return fault_at(cfg, c->sql_pos, err);
        }
    }
    return true;
}

static bool check_chooser(const struct plan_spec *s, const struct config_route *route,
                          struct error *err)
{
    if (!route->table.is_by_record) {
        return true;
    }
    struct chooser *c = chooser_new(&s->mapping, err);
    bool ok = c != NULL;
    chooser_free(c);
    return ok;
}

/* A build without libprotobuf. */
static bool check_protobuf(const struct config *cfg, const struct config_route *route,
                           struct error *err)
{
    bool of_value = route->format == CONFIG_FORMAT_PROTOBUF;

    if (protobuf_schema_is_there() || (!of_value && route->key_format != CONFIG_KEY_PROTOBUF)) {
        return true;
    }
    error_set(err, ERROR_SETUP, "this pgsinkd was built without Protobuf");
    error_hint(err, "Build it with -Dprotobuf=enabled, which needs libprotobuf.");
    return fault_at(cfg, of_value ? route->format_pos : route->key_format_pos, err);
}

static bool check_route(const struct config *cfg, const struct config_route *route,
                        struct error *err)
{
    _cleanup_(plan_spec_done) struct plan_spec s;
    size_t value = 0;

    plan_spec_init(&s, route);
    if (!mapping_check(&s.mapping, &value, err)) {
        return fault_at(cfg, value_place(&s, route, value, err), err);
    }
    if (!check_chooser(&s, route, err)) {
        return fault_at(cfg, plan_spec_place(&s, route, err), err);
    }
    return check_expressions(cfg, route, err) && check_protobuf(cfg, route, err);
}

void plan_check(const struct config *cfg, struct config_faults *out)
{
    struct error err;

    for (size_t i = 0; i < cfg->route_count; i++) {
        if (!check_route(cfg, &cfg->routes[i], &err)) {
            (void) config_faults_add(out, &err);
        }
    }
}
