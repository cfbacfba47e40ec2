/*
 * The other half of `verify`: a topic is read again, and each record is compared with what is
 * stored of it. Main thread, which starts others and waits for them.
 */
#ifndef COMMAND_CONTENT_H
#define COMMAND_CONTENT_H

#include "command/command.h"

/*
 * Compares and prints. EXIT_FAULT: something is missing, doubled or different, or nothing could be
 * compared; EXIT_SOURCE, EXIT_TARGET: a server does not answer; EXIT_USAGE: no route takes the
 * topic.
 */
enum exit_code content_verify(const struct command_args *args);

#endif
