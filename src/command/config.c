/*
 * pgsinkd config: checks everything about the file that needs no server, then prints the effective
 * configuration, secrets masked. Asks neither server. Main thread.
 */
#include "command/command.h"

#include <stdio.h>

enum exit_code command_config(const struct command_args *args)
{
    if (!command_check_file(args->cfg)) {
        return EXIT_CONFIG;
    }
    _cleanup_buf_ struct buf out = {0};
    config_print(args->cfg, &out);
    fwrite(out.p, 1, out.n, stdout);
    return EXIT_OK;
}
