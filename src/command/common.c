/* What several verbs need: faults on stderr, and the checks of the file that other rooms make. Main
 * thread. */
#include "command/command.h"

#include "kafka/client.h"
#include "pg/conn.h"

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
