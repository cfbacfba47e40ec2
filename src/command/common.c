/* What several verbs need: faults on stderr, and the checks of the file that other rooms make. Main
 * thread. */
#include "command/command.h"

#include "base/mem.h"
#include "command/escape.h"
#include "pg/conn.h"
#include "pg/schema.h"
#include "sink/plan/prepare.h"

#include <stdio.h>
#include <string.h>

/* A text of ours may have several lines; PostgreSQL's may have a record's control characters. */
static void add_lines(struct buf *out, const char *z)
{
    for (;;) {
        size_t n = strcspn(z, "\n");
        escape_add(out, (struct str){.p = z, .n = n}, '\0');
        buf_add_u8(out, '\n');
        if (z[n] == '\0') {
            return;
        }
        z += n + 1;
    }
}

void command_fault(const struct error *err)
{
    _cleanup_buf_ struct buf out = {0};

    add_lines(&out, err->text);
    if (err->hint[0] != '\0') {
        buf_add_z(&out, "HINT: ");
        add_lines(&out, err->hint);
    }
    fwrite(out.p, 1, out.n, stderr);
}

void command_faults(const struct config_faults *faults)
{
    for (size_t i = 0; i < MIN(faults->count, CONFIG_FAULTS_MAX); i++) {
        command_fault(&faults->items[i]);
    }
    if (faults->count > CONFIG_FAULTS_MAX) {
        fprintf(stderr, "... and %zu more\n", faults->count - CONFIG_FAULTS_MAX);
    }
}

bool command_check_file(const struct config *cfg)
{
    _cleanup_mem_ struct config_faults *faults = mem_zalloc(sizeof *faults);

    if (prepare_check_file(cfg, faults)) {
        return true;
    }
    fflush(stdout);
    command_faults(faults);
    return false;
}

const char **command_topic_names(const struct config *cfg, size_t more, size_t *out_n)
{
    size_t most = more;

    for (size_t i = 0; i < cfg->route_count; i++) {
        most += cfg->routes[i].topics.count;
    }
    const char **names = mem_array(MAX(most, 1), sizeof *names);
    *out_n = 0;
    for (size_t i = 0; i < cfg->route_count; i++) {
        for (size_t k = 0; k < cfg->routes[i].topics.count; k++) {
            const struct config_topic *t = &cfg->routes[i].topics.items[k];
            if (!t->is_regex) {
                names[(*out_n)++] = t->name;
            }
        }
    }
    return names;
}

bool command_check_schema(struct conn *c, const char *schema, struct error *err)
{
    int version = 0;

    if (!schema_version_installed(c, schema, &version, err)) {
        return false;
    }
    if (version >= schema_version_wanted()) {
        return true;
    }
    error_set(err, ERROR_SETUP, "schema '%s' has version %d, this program needs %d", schema,
              version, schema_version_wanted());
    return error_hint(err, "Run `pgsinkd init`, or let the daemon of this version start once.");
}
