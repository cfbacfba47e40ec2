/* pgsinkd run: sets up the log, checks the properties, then sink/app/app.c is the daemon. Main
 * thread.
 */
#include "command/command.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "kafka/client.h"
#include "sink/shared/delays.h"

enum exit_code command_run(const struct command_args *args)
{
    struct error err;

    mem_keep_freed();
    failpoint_init();
    log_init(args->cfg->log.level);
    log_set_format(args->cfg->log.format);
    log_open(args->cfg->sink, failpoint_journal(LOG_JOURNAL_SOCKET));
    if (!command_check_file(args->cfg, &err)) {
        log_fault(LOG_config_refused, &err);
        return EXIT_CONFIG;
    }
    log_event(LOG(program_starts), PGSINKD_VERSION, client_library_version(), args->cfg->sink);
    return app_run(args->cfg, &args->run);
}
