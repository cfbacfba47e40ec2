/*
 * Open addressing with linear probing, at most half full. Deletion shifts entries back, so there
 * are no tombstones and a find ends at the first free place. Owns no names and no values. One
 * thread at a time.
 */
#include "sink/shared/index.h"

#include "base/mem.h"
#include "base/str.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t home_of(const struct index *ix, const char *topic, int32_t number)
{
    uint64_t h = str_hash(str_of(topic)) ^
                 ((uint64_t) (uint32_t) number * UINT64_C(0x9e3779b97f4a7c15));

    return (size_t) (h ^ (h >> 32)) & (ix->size - 1);
}

/* Where the key is, or the free place where it would go. */
static size_t place_of(const struct index *ix, const char *topic, int32_t number)
{
    size_t i = home_of(ix, topic, number);

    while (ix->entries[i].topic != NULL &&
           (ix->entries[i].number != number || strcmp(ix->entries[i].topic, topic) != 0)) {
        i = (i + 1) & (ix->size - 1);
    }
    return i;
}

void index_done(struct index *ix)
{
    free(ix->entries);
    *ix = (struct index){0};
}

void *index_find(const struct index *ix, const char *topic, int32_t number)
{
    return ix->size == 0 ? NULL : ix->entries[place_of(ix, topic, number)].value;
}

static void grow(struct index *ix)
{
    struct index old = *ix;

    ix->size = old.size == 0 ? 64 : old.size * 2;
    ix->entries = mem_array(ix->size, sizeof *ix->entries);
    for (size_t i = 0; i < old.size; i++) {
        if (old.entries[i].topic != NULL) {
            ix->entries[place_of(ix, old.entries[i].topic, old.entries[i].number)] = old.entries[i];
        }
    }
    free(old.entries);
}

void index_put(struct index *ix, const char *topic, int32_t number, void *value)
{
    if (2 * (ix->count + 1) > ix->size) {
        grow(ix);
    }
    size_t i = place_of(ix, topic, number);
    assert(ix->entries[i].topic == NULL);
    ix->entries[i] = (struct index_entry){.topic = topic, .number = number, .value = value};
    ix->count++;
}

/* Deletion by shifting back: an entry moves into the hole unless its home lies after it. */
void index_remove(struct index *ix, const char *topic, int32_t number)
{
    size_t mask = ix->size - 1;
    size_t hole = ix->size == 0 ? 0 : place_of(ix, topic, number);

    if (ix->size == 0 || ix->entries[hole].topic == NULL) {
        return;
    }
    for (size_t i = (hole + 1) & mask; ix->entries[i].topic != NULL; i = (i + 1) & mask) {
        size_t home = home_of(ix, ix->entries[i].topic, ix->entries[i].number);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            ix->entries[hole] = ix->entries[i];
            hole = i;
        }
    }
    ix->entries[hole] = (struct index_entry){0};
    ix->count--;
}
