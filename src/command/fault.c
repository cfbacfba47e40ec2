#include "command/command.h"

#include <stdio.h>

void command_fault(const struct error *err)
{
    fprintf(stderr, "%s\n", err->text);
    if (err->hint[0] != '\0') {
        fprintf(stderr, "HINT: %s\n", err->hint);
    }
}
