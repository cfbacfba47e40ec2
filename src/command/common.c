/* What several verbs need: faults on stderr, and the checks of the file that other rooms make. Main
 * thread. */
#include "command/command.h"

#include "kafka/client.h"
#include "pg/conn.h"
#include "pg/schema.h"

#include <stdio.h>

void command_fault(const struct error *err)
{
    fprintf(stderr, "%s\n", err->text);
    if (err->hint[0] != '\0') {
        fprintf(stderr, "HINT: %s\n", err->hint);
    }
}

bool command_check_file(const struct config *cfg, struct error *err)
{
    if (!client_check(cfg, err)) {
        return false;
    }
    if (!conn_check_dsn(cfg->postgres.dsn, err)) {
        return config_error_locate(cfg, cfg->postgres.dsn_pos, err);
    }
    return true;
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
