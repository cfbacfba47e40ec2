/* pgsinkd run: sets up the log, checks the properties, then sink/app/app.c is the daemon. Main
 * thread.
 */
#include "command/command.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "kafka/client.h"
#include "sink/plan/prepare.h"
#include "sink/shared/delays.h"

enum exit_code command_run(const struct command_args *args)
{
    _cleanup_mem_ struct config_faults *faults = mem_zalloc(sizeof *faults);

    mem_keep_freed();
    failpoint_init();
    log_init(args->cfg->log.level);
    log_set_format(args->cfg->log.format);
    log_open(args->cfg->sink, failpoint_journal(LOG_JOURNAL_SOCKET));
    if (!prepare_check_file(args->cfg, faults)) {
        for (size_t i = 0; i < MIN(faults->count, CONFIG_FAULTS_MAX); i++) {
            log_fault(LOG_config_refused, &faults->items[i]);
        }
        log_close();
        return EXIT_CONFIG;
    }
    log_event(LOG(program_starts), PGSINKD_VERSION, client_library_version(), args->cfg->sink);
    enum exit_code code = app_run(args->cfg, &args->run);
    log_close();
    return code;
}
