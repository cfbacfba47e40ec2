/* pgsinkd version: the program's and those of the libraries that run. Main thread. */
#include "command/command.h"

#include "kafka/client.h"
#include "pg/conn.h"
#include "pg/schema.h"

#include <stdio.h>

enum exit_code command_version(const struct command_args *args)
{
    (void) args;
    int libpq = conn_library_version();
    printf("pgsinkd %s (librdkafka %s, libpq %d.%d, schema version %d)\n", PGSINKD_VERSION,
           client_library_version(), libpq / 10000, libpq % 10000, schema_version_wanted());
    return EXIT_OK;
}
