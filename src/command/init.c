/*
 * pgsinkd init: the schema by hand, for roles that may not create it when the daemon starts; or,
 * with --print, its SQL for psql. Does nothing where no schema is needed. Does not look at Kafka
 * or at target tables. Main thread.
 */
#include "command/command.h"

#include "pg/schema.h"
#include "sink/plan/prepare.h"

#include <stdio.h>

static enum exit_code print(const struct command_args *args)
{
    _cleanup_buf_ struct buf out = {0};

    schema_print(args->cfg->postgres.schema, &out);
    fwrite(out.p, 1, out.n, stdout);
    return EXIT_OK;
}

static enum exit_code apply(const struct command_args *args, struct conn *c)
{
    struct error err;
    int applied = 0;

    if (!conn_open_wait(c, -1, &err) || !conn_check_server(c, &err) ||
        !schema_ensure(c, args->cfg->postgres.schema, true, &applied, &err)) {
        command_fault(&err);
        return EXIT_TARGET;
    }
    printf("schema %s: version %d, %d step%s applied now\n", args->cfg->postgres.schema,
           schema_version_wanted(), applied, applied == 1 ? "" : "s");
    return EXIT_OK;
}

enum exit_code command_init(const struct command_args *args)
{
    if (!config_needs_schema(args->cfg)) {
        printf("-- no schema is needed: there are no offsets and no dead letters to keep there\n");
        return EXIT_OK;
    }
    if (args->print) {
        return print(args);
    }
    struct conn_settings settings = prepare_conn_settings(args->cfg, "pgsinkd init");
    struct conn *c = conn_new(&settings);
    enum exit_code code = apply(args, c);
    conn_free(c);
    return code;
}
