/* pgsinkd config: everything about the file that needs no server, then the effective configuration. */
#include "command/command.h"

#include "kafka/client.h"
#include "pg/conn.h"

#include <stdio.h>

enum exit_code command_config(const struct command_args *args)
{
    struct error err;
    if (!client_check(args->cfg, &err)) {
        command_fault(&err);
        return EXIT_CONFIG;
    }
    if (!conn_check_dsn(args->cfg->postgres.dsn, &err)) {
        config_error_locate(args->cfg, args->cfg->postgres.dsn_pos, &err);
        command_fault(&err);
        return EXIT_CONFIG;
    }
    _cleanup_buf_ struct buf out = {0};
    config_print(args->cfg, &out);
    fwrite(out.p, 1, out.n, stdout);
    return EXIT_OK;
}
