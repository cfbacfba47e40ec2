/* See avro_names.h. */
#include "row/schema/avro_names.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void avro_names_done(struct avro_names *n)
{
    free(n->slots);
    *n = (struct avro_names){0};
}

/* Where the name is, or a free slot. There is one. */
static size_t slot_of(const struct avro_names *n, struct str name)
{
    size_t i = (size_t) str_hash(name) & (n->cap - 1);

    while (n->slots[i] != NULL && !str_eq(n->slots[i]->name, name)) {
        i = (i + 1) & (n->cap - 1);
    }
    return i;
}

const struct shape *avro_names_find(const struct avro_names *n, struct str name)
{
    return n->cap > 0 ? n->slots[slot_of(n, name)] : NULL;
}

static void grow(struct avro_names *n)
{
    struct avro_names larger = {.cap = n->cap > 0 ? 2 * n->cap : 16, .count = n->count};

    larger.slots = mem_array(larger.cap, sizeof *larger.slots);
    for (size_t i = 0; i < n->cap; i++) {
        if (n->slots[i] != NULL) {
            larger.slots[slot_of(&larger, n->slots[i]->name)] = n->slots[i];
        }
    }
    free(n->slots);
    *n = larger;
}

bool avro_names_add(struct avro_names *n, const struct shape *shape)
{
    if (2 * (n->count + 1) > n->cap) {
        grow(n);
    }
    const struct shape **slot = &n->slots[slot_of(n, shape->name)];
    if (*slot != NULL) {
        return false;
    }
    *slot = shape;
    n->count++;
    return true;
}

struct str avro_full_name(struct buf *room, struct str space, struct str name)
{
    if (space.n == 0 || memchr(name.p, '.', name.n) != NULL) {
        return name;
    }
    buf_clear(room);
    buf_add_str(room, space);
    buf_add_u8(room, '.');
    buf_add_str(room, name);
    return buf_str(room);
}

struct str avro_space_of(struct str name)
{
    const char *dot = memrchr(name.p, '.', name.n);

    return dot != NULL ? (struct str){.p = name.p, .n = (size_t) (dot - name.p)} : STR_LIT("");
}
