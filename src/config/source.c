/* How expanded values were written in the file; source.h says why and who owns it. */
#include "config/source.h"

#include "base/mem.h"

void source_add(struct config_source *s, struct position pos, struct str text, bool lacks)
{
    s->items = mem_grow(s->items, &s->cap, s->count, sizeof *s->items);
    s->items[s->count++] = (struct source_text){pos, mem_strndup(text.p, text.n), lacks};
}

static const struct source_text *find(const struct config_source *s, struct position pos)
{
    for (size_t i = 0; s != NULL && i < s->count; i++) {
        if (s->items[i].pos.line == pos.line && s->items[i].pos.column == pos.column) {
            return &s->items[i];
        }
    }
    return NULL;
}

const char *source_find(const struct config_source *s, struct position pos)
{
    const struct source_text *found = find(s, pos);

    return found != NULL ? found->text : NULL;
}

bool source_lacks(const struct config_source *s, struct position pos)
{
    const struct source_text *found = find(s, pos);

    return found != NULL && found->lacks;
}

void source_done(struct config_source *s)
{
    for (size_t i = 0; i < s->count; i++) {
        mem_freep(&s->items[i].text);
    }
    mem_freep(&s->items);
    mem_freep(&s->dir);
}
