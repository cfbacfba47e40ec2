/* What several verbs need: faults on stderr, and the checks of the file that other rooms make. Main
 * thread. */
#include "command/command.h"

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
