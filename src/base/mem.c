/*
 * Allocation that ends the process instead of failing. The last line is written without allocating
 * anything. Any thread.
 */
#include "base/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_noreturn_ static void out_of_memory(const char *what)
{
    static const char front[] = "pgsinkd: ";

    /* If the line cannot be written, nothing can be done: there is still the core dump. */
    (void) !write(STDERR_FILENO, front, sizeof front - 1);
    (void) !write(STDERR_FILENO, what, strlen(what));
    abort();
}

void mem_overflow(void)
{
    out_of_memory("the size of an allocation overflows\n");
}

static size_t checked_mul(size_t count, size_t size)
{
    size_t bytes;

    if (!CHECKED_MUL(count, size, &bytes)) {
        mem_overflow();
    }
    return bytes;
}

static void *alive(void *p)
{
    if (p == NULL) {
        out_of_memory("out of memory\n");
    }
    return p;
}

/* Never asks for 0 bytes: malloc(0) may return NULL, which would look like a failure. */
void *mem_alloc(size_t size)
{
    return alive(malloc(MAX(size, (size_t) 1)));
}

void *mem_zalloc(size_t size)
{
    return alive(calloc(1, MAX(size, (size_t) 1)));
}

void *mem_array(size_t count, size_t size)
{
    return mem_zalloc(checked_mul(count, size));
}

void *mem_realloc(void *p, size_t count, size_t size)
{
    size_t bytes = checked_mul(count, size);

    return alive(realloc(p, MAX(bytes, (size_t) 1)));
}

char *mem_strdup(const char *s)
{
    return s != NULL ? mem_strndup(s, strlen(s)) : NULL;
}

char *mem_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = mem_alloc(len + 1);

    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *mem_printf(const char *fmt, ...)
{
    va_list args;
    char *text = NULL;

    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    return alive(n < 0 ? NULL : text);
}

void mem_freep(void *pp)
{
    void *p;

    /* pp points to a variable of any pointer type: memcpy reads it without breaking the rules of
     * aliasing. */
    memcpy(&p, pp, sizeof p);
    free(p);
}

void *mem_grow(void *p, size_t *cap, size_t n, size_t size)
{
    if (n < *cap) {
        return p;
    }
    *cap = MAX(checked_mul(*cap, 2), (size_t) 8);
    return mem_realloc(p, *cap, size);
}

void mem_keep_freed(void)
{
    /* Blocks with a mapping of their own are always returned; glibc accepts no higher threshold. */
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    mallopt(M_TOP_PAD, 16 << 20);
}
