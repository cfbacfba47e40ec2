/* Building the tree of names. Main thread, once; the tables have at least one free slot. */
#include "row/cell/fields.h"

#include "base/mem.h"

#include <stdlib.h>

static uint32_t node_add(struct fields *f, uint32_t parent, struct str name)
{
    f->nodes = mem_grow(f->nodes, &f->cap, f->count, sizeof *f->nodes);
    char *literal = mem_array(name.n + 3 + FIELD_PADDING, 1);
    literal[0] = '"';
    memcpy(literal + 1, name.p, name.n);
    memcpy(literal + 1 + name.n, "\":", 2);
    bool escaped = memchr(name.p, '"', name.n) != NULL || memchr(name.p, '\\', name.n) != NULL;
    f->nodes[f->count] = (struct field){
        .literal = literal,
        .name = {.p = literal + 1, .n = name.n},
        .literal_n = escaped || name.n + 3 > FIELD_LITERAL_MAX ? 0 : name.n + 3,
        .parent = parent,
    };
    return (uint32_t) f->count++;
}

void fields_init(struct fields *f)
{
    *f = (struct fields){0};
    node_add(f, FIELD_NONE, STR_LIT(""));
}

void fields_done(struct fields *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free(f->nodes[i].literal);
    }
    free(f->nodes);
    free(f->slots);
    *f = (struct fields){0};
}

uint32_t fields_add(struct fields *f, uint32_t parent, struct str name)
{
    for (uint32_t i = 1; i < f->count; i++) {
        if (f->nodes[i].parent == parent && str_eq(f->nodes[i].name, name)) {
            return i;
        }
    }
    f->nodes[parent].children++;
    return node_add(f, parent, name);
}

static uint32_t table_size(uint32_t children)
{
    uint32_t size = 2;

    while (size < 2 * children) {
        size *= 2;
    }
    return size;
}

static void slot_fill(struct fields *f, uint32_t node)
{
    const struct field *p = &f->nodes[f->nodes[node].parent];
    uint32_t i = fields_hash(f->nodes[node].name);

    while (f->slots[p->slot + (i & p->mask)] != FIELD_NONE) {
        i++;
    }
    f->slots[p->slot + (i & p->mask)] = node;
}

void fields_seal(struct fields *f)
{
    uint32_t total = 0;

    for (size_t i = 0; i < f->count; i++) {
        struct field *p = &f->nodes[i];
        uint32_t size = p->children > 0 ? table_size(p->children) : 0;
        p->slot = total;
        p->mask = size - 1;
        total += size;
    }
    f->slots = mem_array((size_t) total + 1, sizeof *f->slots);
    memset(f->slots, 0xFF, total * sizeof *f->slots);
    for (uint32_t i = 1; i < f->count; i++) {
        slot_fill(f, i);
    }
}

bool fields_below(const struct fields *f, uint32_t node, uint32_t ancestor)
{
    while (node > ancestor) {
        node = f->nodes[node].parent;
        if (node == ancestor) {
            return true;
        }
    }
    return false;
}
