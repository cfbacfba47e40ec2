/* A hash table whose entries are also in a list, in the order in which they were added. */
#include "row/schema/schema_table.h"

#include "base/mem.h"

#include <stdlib.h>

static size_t bucket_of(const struct schema_table *t, const struct schema_ref *ref)
{
    uint64_t words[2];

    memcpy(words, ref->guid, sizeof words);
    uint64_t h = ((uint64_t) ref->id ^ words[0]) * UINT64_C(0x9e3779b97f4a7c15);
    h ^= (words[1] ^ (uint64_t) ref->kind) * UINT64_C(0xc2b2ae3d27d4eb4f);
    return (size_t) (h ^ (h >> 32)) & (t->size - 1);
}

struct schema_entry *schema_table_find(const struct schema_table *t, const struct schema_ref *ref)
{
    struct schema_entry *e = t->size == 0 ? NULL : t->buckets[bucket_of(t, ref)];

    while (e != NULL && !schema_ref_same(&e->ref, ref)) {
        e = e->next;
    }
    return e;
}

static void link_bucket(struct schema_table *t, struct schema_entry *e)
{
    struct schema_entry **bucket = &t->buckets[bucket_of(t, &e->ref)];

    e->next = *bucket;
    *bucket = e;
}

static void grow(struct schema_table *t)
{
    free(t->buckets);
    t->size = t->size == 0 ? 64 : t->size * 2;
    t->buckets = mem_array(t->size, sizeof(struct schema_entry *));
    for (struct schema_entry *e = t->oldest; e != NULL; e = e->newer) {
        link_bucket(t, e);
    }
}

struct schema_entry *schema_table_add(struct schema_table *t, const struct schema_ref *ref)
{
    struct schema_entry *e = mem_zalloc(sizeof *e);

    if (t->count == t->size) {
        grow(t);
    }
    e->ref = *ref;
    e->older = t->newest;
    *(t->newest != NULL ? &t->newest->newer : &t->oldest) = e;
    t->newest = e;
    link_bucket(t, e);
    t->count++;
    return e;
}

void schema_table_set(struct schema_table *t, struct schema_entry *e, const struct schema *schema,
                      const struct error *fault)
{
    const struct schema *held = schema != NULL ? schema_hold(schema) : NULL;
    struct error *copy = NULL;

    if (fault != NULL) {
        copy = mem_alloc(sizeof *copy);
        *copy = *fault;
        t->bytes += sizeof *copy;
        t->faults++;
    }
    if (held != NULL) {
        t->bytes += schema_bytes(held);
    }
    if (e->schema != NULL) {
        t->bytes -= schema_bytes(e->schema);
    }
    if (e->fault != NULL) {
        t->bytes -= sizeof *e->fault;
        t->faults--;
    }
    schema_drop(e->schema);
    free(e->fault);
    e->schema = held;
    e->fault = copy;
}

void schema_table_remove(struct schema_table *t, struct schema_entry *e)
{
    struct schema_entry **at = &t->buckets[bucket_of(t, &e->ref)];

    schema_table_set(t, e, NULL, NULL);
    while (*at != e) {
        at = &(*at)->next;
    }
    *at = e->next;
    *(e->older != NULL ? &e->older->newer : &t->oldest) = e->newer;
    *(e->newer != NULL ? &e->newer->older : &t->newest) = e->older;
    t->count--;
    free(e);
}

void schema_table_done(struct schema_table *t)
{
    struct schema_entry *e = t->oldest;

    while (e != NULL) {
        struct schema_entry *newer = e->newer;
        schema_drop(e->schema);
        free(e->fault);
        free(e);
        e = newer;
    }
    free(t->buckets);
    *t = (struct schema_table){0};
}
