/*
 * See target_marks.h. Open addressing with linear probing, at most half full; only as much of the
 * memory is used, and cleared, as the batch needs. Worker thread.
 */
#include "pg/target_marks.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MIN ((size_t) 8)

void target_marks_begin(struct target_marks *m, size_t most)
{
    m->size = SIZE_MIN;
    while (m->size < 2 * most) {
        m->size *= 2;
    }
    if (m->cap < m->size) {
        free(m->marks);
        m->marks = mem_array(m->size, sizeof *m->marks);
        m->cap = m->size;
        return;
    }
    memset(m->marks, 0, m->size * sizeof *m->marks);
}

void target_marks_done(struct target_marks *m)
{
    free(m->marks);
    *m = (struct target_marks){0};
}

struct target_mark *target_marks_of(struct target_marks *m, const struct target *target)
{
    uint64_t hash = (uint64_t) (uintptr_t) target * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t) (hash >> 32) & (m->size - 1);

    for (size_t tried = 0; tried < m->size; tried++, i = (i + 1) & (m->size - 1)) {
        if (m->marks[i].target == NULL) {
            m->marks[i].target = target;
        }
        if (m->marks[i].target == target) {
            return &m->marks[i];
        }
    }
    assert(false && "more targets than were announced");
    return NULL;
}
