/* A text of the configuration file, made fit for a message. Private to config/. Pure; any thread.
 */
#ifndef CONFIG_SHOWN_H
#define CONFIG_SHOWN_H

#include "base/str.h"

#define SHOWN_MAX 64

struct shown {
    char text[SHOWN_MAX];
};

/*
 * At most 60 bytes of text, on one line, ending in "..." when there is more. Never for a secret or
 * a value that was expanded.
 */
struct shown shown_of(struct str text);

#endif
