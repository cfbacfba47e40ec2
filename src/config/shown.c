/* A text of the configuration file, made fit for a message. Any thread. */
#include "config/shown.h"

#include <string.h>

struct shown shown_of(struct str text)
{
    struct shown shown = {0};
    size_t n = MIN(text.n, (size_t) 60);

    while (n > 0 && n < text.n && ((unsigned char) text.p[n] & 0xc0) == 0x80) {
        n -= 1; /* not in the middle of a character */
    }
    for (size_t i = 0; i < n; i++) {
        shown.text[i] = (unsigned char) text.p[i] < 0x20 || text.p[i] == 0x7f ? '?' : text.p[i];
    }
    if (n < text.n) {
        memcpy(shown.text + n, "...", 4);
    }
    return shown;
}
