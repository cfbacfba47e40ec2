/* What several verbs need: faults on stderr, and the checks of the file that other rooms make. Main
 * thread. */
#include "command/command.h"

#include "pg/conn.h"
#include "pg/schema.h"
#include "sink/plan/prepare.h"

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
    return prepare_check_file(cfg, err);
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
