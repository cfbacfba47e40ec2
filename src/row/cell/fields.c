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

static uint32_t node_of(const struct fields *f, uint32_t parent, struct str name, bool of_row)
{
    for (uint32_t i = 1; i < f->count; i++) {
        const struct field *its = &f->nodes[i];
        if (its->parent == parent && its->of_row == of_row && str_eq(its->name, name)) {
            return i;
        }
    }
    return FIELD_NONE;
}

uint32_t fields_add(struct fields *f, uint32_t parent, struct str name)
{
    uint32_t node = node_of(f, parent, name, false);

    if (node == FIELD_NONE) {
        f->nodes[parent].children++;
        node = node_add(f, parent, name);
    }
    return node;
}

uint32_t fields_add_row(struct fields *f, uint32_t parent, struct str name)
{
    if (f->policy == NAMES_EXACT) {
        return fields_add(f, parent, name);
    }
    uint32_t node = node_of(f, parent, name, true);
    if (node == FIELD_NONE) {
        f->nodes[parent].row_children++;
        node = node_add(f, parent, name);
        f->nodes[node].of_row = true;
    }
    return node;
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
    const struct field *its = &f->nodes[node];
    const struct field *p = &f->nodes[its->parent];
    uint32_t slot = its->of_row ? p->row_slot : p->slot;
    uint32_t mask = its->of_row ? p->row_mask : p->mask;
    uint32_t i = fields_hash(its->name);

    while (f->slots[slot + (i & mask)] != FIELD_NONE) {
        i++;
    }
    f->slots[slot + (i & mask)] = node;
}

/* Room for a table of children; *total is the room that is taken. */
static void table_place(uint32_t children, uint32_t *total, uint32_t *out_slot, uint32_t *out_mask)
{
    uint32_t size = children > 0 ? table_size(children) : 0;

    *out_slot = *total;
    *out_mask = size - 1;
    *total += size;
}

/* A literal leads to one node. A field that is wanted twice has none, so that it is looked for. */
static void forbid_literals(struct fields *f)
{
    for (uint32_t i = 1; i < f->count; i++) {
        struct field *its = &f->nodes[i];
        uint32_t row = its->of_row ? FIELD_NONE : fields_find_row(f, its->parent, its->name);
        if (row != FIELD_NONE) {
            its->literal_n = 0;
            f->nodes[row].literal_n = 0;
        }
    }
}

static uint64_t mix(uint64_t h, uint64_t with)
{
    h = (h ^ with) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ (h >> 32);
}

static uint64_t print_of(const struct fields *f)
{
    uint64_t h = mix(f->count, (uint64_t) f->policy);

    for (size_t i = 1; i < f->count; i++) {
        const struct field *its = &f->nodes[i];
        h = mix(h, str_hash(its->name));
        h = mix(h,
                (uint64_t) its->parent << 2 | (its->of_row ? 2U : 0U) | (its->is_whole ? 1U : 0U));
    }
    return mix(h, f->nodes[0].is_whole ? 1 : 0);
}

void fields_seal(struct fields *f)
{
    uint32_t total = 0;

    for (size_t i = 0; i < f->count; i++) {
        struct field *p = &f->nodes[i];
        table_place(p->children, &total, &p->slot, &p->mask);
        table_place(p->row_children, &total, &p->row_slot, &p->row_mask);
    }
    f->slots = mem_array((size_t) total + 1, sizeof *f->slots);
    memset(f->slots, 0xFF, total * sizeof *f->slots);
    for (uint32_t i = 1; i < f->count; i++) {
        slot_fill(f, i);
    }
    forbid_literals(f);
    f->print = print_of(f);
}

uint32_t fields_find_row(const struct fields *f, uint32_t parent, struct str name)
{
    const struct field *p = &f->nodes[parent];
    struct folded_name folded;

    if (p->row_children == 0) {
        return FIELD_NONE;
    }
    uint32_t node = fields_find_in(f, p->row_slot, p->row_mask, name);
    if (node != FIELD_NONE || !names_fold(f->policy, name, &folded)) {
        return node;
    }
    const struct str wanted = {.p = folded.text, .n = folded.n};
    return fields_find_in(f, p->row_slot, p->row_mask, wanted);
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
