/* See shapes.h. One thread. */
#include "row/record/shapes.h"

#include "base/mem.h"

#include <stdlib.h>

#define OWN_MAX 16

struct shapes_of {
    uint64_t masks[OWN_MAX];
    size_t count;
};

void shapes_done(struct shapes *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->of[i]);
    }
    free(s->of);
    *s = (struct shapes){0};
}

static struct shapes_of *shapes_of(struct shapes *s, uint32_t target_id)
{
    while (s->count <= target_id) {
        s->of = mem_grow(s->of, &s->cap, s->count, sizeof(struct shapes_of *));
        s->of[s->count++] = NULL;
    }
    if (s->of[target_id] == NULL) {
        s->of[target_id] = mem_zalloc(sizeof(struct shapes_of));
    }
    return s->of[target_id];
}

bool shapes_own(struct shapes *s, uint32_t target_id, uint64_t omit)
{
    struct shapes_of *of = shapes_of(s, target_id);

    for (size_t i = 0; i < of->count; i++) {
        if (of->masks[i] == omit) {
            return true;
        }
    }
    if (of->count == OWN_MAX) {
        return false;
    }
    of->masks[of->count++] = omit;
    return true;
}
