/* See troubles.h. */
#include "sink/watch/troubles.h"

#include <stdio.h>
#include <string.h>

void troubles_add(struct troubles *t, int64_t wall_ms, const char *text)
{
    char cut[sizeof t->ring[0].text];

    snprintf(cut, sizeof cut, "%s", text);
    if (t->ring[t->last].wall_ms == 0 || strcmp(t->ring[t->last].text, cut) != 0) {
        t->last = t->ring[t->last].wall_ms == 0 ? t->last : (t->last + 1) % TROUBLES;
        t->ring[t->last] = (struct trouble){0};
        memcpy(t->ring[t->last].text, cut, sizeof cut);
    }
    t->ring[t->last].wall_ms = wall_ms;
    t->ring[t->last].times++;
}

const struct trouble *troubles_at(const struct troubles *t, size_t n)
{
    return &t->ring[(t->last + TROUBLES - n % TROUBLES) % TROUBLES];
}
