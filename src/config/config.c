/*
 * What others ask of a loaded configuration: a few answers that take more than one option, and
 * errors that name a place in the file. config_load.c makes one, config_free.c gives it back,
 * print.c prints it. Any thread.
 */
#include "config/config.h"

#include "config/expand.h"
#include "config/option.h"
#include "config/source.h"

#include <sched.h>
#include <string.h>

void config_position_text(const struct config *cfg, struct position pos, struct buf *out)
{
    position_text(cfg->path, pos, out);
}

bool config_error_at(const struct config *cfg, struct position pos, struct error *err,
                     const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    position_verror(cfg->path, pos, err, fmt, args);
    va_end(args);
    return false;
}

bool config_error_locate(const struct config *cfg, struct position pos, struct error *err)
{
    if (pos.line == 0) {
        return error_wrap(err, "%s", cfg->path);
    }
    return error_wrap(err, "%s:%u:%u", cfg->path, pos.line, pos.column);
}

typedef bool expander(struct str text, const char *dir, struct buf *out, struct error *err);

static bool read_again(const struct config *cfg, const char *value, struct position pos,
                       expander *expand, struct buf *out, struct error *err)
{
    const char *written = source_find(cfg->source, pos);

    if (written == NULL) {
        buf_add_z(out, value);
        return true;
    }
    return expand(str_of(written), cfg->source->dir, out, err) ||
           config_error_locate(cfg, pos, err);
}

bool config_read_dsn(const struct config *cfg, struct buf *out, struct error *err)
{
    return read_again(cfg, cfg->postgres.dsn, cfg->postgres.dsn_pos, expand_dsn, out, err);
}

bool config_read_password(const struct config *cfg, struct buf *out, struct error *err)
{
    return read_again(cfg, cfg->postgres.password, cfg->postgres.password_pos, expand_text, out,
                      err);
}

bool config_read_text(const struct config *cfg, const char *value, struct position pos,
                      struct buf *out, struct error *err)
{
    return read_again(cfg, value, pos, expand_text, out, err);
}

bool config_has_registry(const struct config *cfg)
{
    return *cfg->registry.url != '\0';
}

bool config_is_without_secrets(const struct config *cfg)
{
    return cfg->source != NULL && cfg->source->without_secrets;
}

bool config_is_expanded(const struct config *cfg, struct position pos)
{
    return source_find(cfg->source, pos) != NULL;
}

const char *config_foreign_hint(const char *word)
{
    return option_foreign_hint(str_of(word));
}

bool config_lacks(const struct config *cfg, struct position pos)
{
    return source_lacks(cfg->source, pos);
}

bool config_has_ledger(const struct config *cfg)
{
    return cfg->delivery == DELIVERY_EXACTLY_ONCE;
}

bool config_needs_schema(const struct config *cfg)
{
    bool needed = config_has_ledger(cfg);

    for (size_t i = 0; i < cfg->route_count; i++) {
        needed = needed || cfg->routes[i].on_error == ON_ERROR_DEAD_LETTER;
    }
    return needed;
}

usec_t config_lock_timeout(const struct config *cfg)
{
    return MIN(cfg->postgres.lock_timeout, cfg->postgres.timeout / 2);
}

const struct config_property *config_property_of(const struct config_properties *list,
                                                 const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].name, name) == 0) {
            return &list->items[i];
        }
    }
    return NULL;
}

const struct config_property *config_sasl_mechanism(const struct config *cfg)
{
    const struct config_property *p = config_property_of(&cfg->kafka.properties, "sasl.mechanism");

    return p != NULL ? p : config_property_of(&cfg->kafka.properties, "sasl.mechanisms");
}

uint32_t config_workers(const struct config *cfg)
{
    cpu_set_t set;
    int cpus = 1;

    if (cfg->workers != 0) {
        return cfg->workers;
    }
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        cpus = CPU_COUNT(&set);
    }
    return (uint32_t) MIN(MAX(cpus, 1), 8);
}

uint32_t config_connections(const struct config *cfg)
{
    return config_workers(cfg) + 2;
}

bool config_faults_add(struct config_faults *faults, const struct error *err)
{
    if (faults->count < CONFIG_FAULTS_MAX) {
        faults->items[faults->count] = *err;
    }
    faults->count++;
    return false;
}
