/*
 * What others ask of a loaded configuration: a few answers that take more than one option, and
 * errors that name a place in the file. config_load.c makes one, config_free.c gives it back,
 * print.c prints it. Any thread.
 */
#include "config/config.h"

#include "config/expand.h"
#include "config/source.h"

#include <sched.h>

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

bool config_read_again(const struct config *cfg, const char *value, struct position pos,
                       struct buf *out, struct error *err)
{
    const char *written = cfg->source != NULL ? source_find(cfg->source, pos) : NULL;

    if (written == NULL) {
        buf_add_z(out, value);
        return true;
    }
    return expand_text(str_of(written), cfg->source->dir, out, err) ||
           config_error_locate(cfg, pos, err);
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
