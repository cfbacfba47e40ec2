/* See lines.h. */
#include "kafka/lines.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void lines_init(struct lines *l, int wake_fd)
{
    *l = (struct lines){.wake_fd = wake_fd};
    mailbox_init(&l->box);
}

void lines_done(struct lines *l)
{
    for (struct line *line; (line = lines_take(l)) != NULL;) {
        free(line);
    }
    mailbox_done(&l->box);
}

static bool is_wanted(struct lines *l, bool always)
{
    size_t waiting = atomic_load_explicit(&l->waiting, memory_order_relaxed);

    return always ? waiting < DOUBTS_MOST : log_enabled(LOG_LEVEL_DEBUG) && waiting < LINES_MOST;
}

void lines_add(struct lines *l, int level, const char *facility, const char *text)
{
    bool is_doubt = strcmp(facility, "BROKERUA") == 0;
    bool is_warning = strcmp(facility, "CONFWARN") == 0;
    uint64_t one = 1;

    if (!is_wanted(l, is_doubt || is_warning)) {
        return;
    }
    struct line *line = mem_zalloc(sizeof *line);
    line->level = level;
    line->is_doubt = is_doubt;
    line->is_warning = is_warning;
    snprintf(line->text, sizeof line->text, "%s: %.480s", facility, text);
    atomic_fetch_add_explicit(&l->waiting, 1, memory_order_relaxed);
    mailbox_post(&l->box, &line->mail);
    if (write(l->wake_fd, &one, sizeof one) < 0) {
        /* EAGAIN: it is readable already */
    }
}

struct line *lines_take(struct lines *l)
{
    if (l->taken == NULL) {
        l->taken = mailbox_take(&l->box);
    }
    struct line *line = (struct line *) l->taken;
    if (line != NULL) {
        l->taken = line->mail.next;
        atomic_fetch_sub_explicit(&l->waiting, 1, memory_order_relaxed);
    }
    return line;
}
