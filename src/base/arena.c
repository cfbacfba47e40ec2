/*
 * The arena: a list of blocks, the head of which is being filled. Blocks double in size up to
 * BLOCK_MAX; a request that is too large for that gets a block of its own after the head, so that
 * the rest of the head is not lost. Reset keeps the head, which is the largest ordinary block.
 *
 * Under AddressSanitizer all bytes that are not handed out are poisoned, so that a use after reset
 * is detected. One thread at a time.
 */
#include "base/arena.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISON 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISON 1
#endif

#ifdef ARENA_POISON
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void) (p), (void) (n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void) (p), (void) (n))
#endif

enum { ARENA_ALIGN = 16 };

static const size_t BLOCK_MIN = (size_t) 64 << 10;
static const size_t BLOCK_MAX = (size_t) 4 << 20;

struct arena_block {
    struct arena_block *next;
    size_t size; /* of data */
    size_t used;
    _Alignas(ARENA_ALIGN) uint8_t data[];
};

static struct arena_block *block_new(size_t size)
{
    struct arena_block *block = mem_alloc(sizeof *block + size);

    *block = (struct arena_block){.size = size};
    ASAN_POISON_MEMORY_REGION(block->data, size);
    return block;
}

static void block_free(struct arena_block *block)
{
    ASAN_UNPOISON_MEMORY_REGION(block->data, block->size);
    free(block);
}

static void *block_take(struct arena_block *block, size_t size)
{
    uint8_t *p = block->data + block->used;

    block->used += size;
    ASAN_UNPOISON_MEMORY_REGION(p, size);
    return p;
}

/* A block with room for size bytes: a new head, or for a large request one after the head. */
static struct arena_block *arena_extend(struct arena *a, size_t size)
{
    struct arena_block *head = a->head;

    if (head != NULL && size > BLOCK_MAX / 4) {
        struct arena_block *own = block_new(size);
        own->next = head->next;
        head->next = own;
        return own;
    }
    size_t want = head != NULL ? MIN(head->size * 2, BLOCK_MAX) : BLOCK_MIN;
    struct arena_block *block = block_new(MAX(want, size));
    block->next = head;
    a->head = block;
    return block;
}

void *arena_alloc(struct arena *a, size_t size)
{
    struct arena_block *block = a->head;

    if (size > SIZE_MAX / 2) {
        mem_overflow();
    }
    size = (MAX(size, (size_t) 1) + ARENA_ALIGN - 1) & ~(size_t) (ARENA_ALIGN - 1);
    if (block == NULL || block->size - block->used < size) {
        block = arena_extend(a, size);
    }
    a->used += size;
    return block_take(block, size);
}

struct str arena_copy(struct arena *a, struct str s)
{
    if (s.p == NULL) {
        return s;
    }
    char *p = arena_alloc(a, s.n);
    memcpy(p, s.p, s.n);
    return (struct str){.p = p, .n = s.n};
}

void arena_reset(struct arena *a)
{
    struct arena_block *head = a->head;

    a->used = 0;
    if (head == NULL) {
        return;
    }
    while (head->next != NULL) {
        struct arena_block *block = TAKE_PTR(head->next);
        head->next = block->next;
        block_free(block);
    }
    if (head->size > BLOCK_MAX) {
        block_free(TAKE_PTR(a->head));
        return;
    }
    head->used = 0;
    ASAN_POISON_MEMORY_REGION(head->data, head->size);
}

void arena_done(struct arena *a)
{
    arena_reset(a);
    if (a->head != NULL) {
        block_free(TAKE_PTR(a->head));
    }
}
