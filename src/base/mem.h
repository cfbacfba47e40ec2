/*
 * Allocation that cannot fail: out of memory, or a size that overflows, ends the process with one
 * line on stderr. That is safe because the ledger is the truth: the next start continues where the
 * last COMMIT ended. Sizes that users control are limited before they come here. Any thread.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/base.h"

/* Never NULL, also for a size of 0. The caller frees with free(). */
void *mem_alloc(size_t size) _must_;
void *mem_zalloc(size_t size) _must_;              /* zeroed */
void *mem_array(size_t count, size_t size) _must_; /* zeroed, count * size checked */
void *mem_realloc(void *p, size_t count, size_t size) _must_;
char *mem_strdup(const char *s) _must_;            /* NULL gives NULL */
char *mem_strndup(const char *s, size_t n) _must_; /* of at most n characters */
char *mem_printf(const char *fmt, ...) _must_ _printf_(1, 2);

/* Ends the process: for a caller whose own sum of sizes overflows. */
_noreturn_ void mem_overflow(void);

/*
 * From now on freed memory stays with the process, up to 256 MiB: buffers of many MiB come and go
 * with every fetch, and pages returned to the kernel would have to be zeroed again each time.
 * @thread main, before the others start
 */
void mem_keep_freed(void);

/* For _cleanup_: frees the pointer that the variable holds. */
void mem_freep(void *pp);

/*
 * Makes room for one more element in a growing array: doubles *cap when n == *cap.
 * Usage: items = mem_grow(items, &cap, n, sizeof *items); items[n++] = x;
 */
void *mem_grow(void *p, size_t *cap, size_t n, size_t size) _must_;

#define _cleanup_mem_ _cleanup_(mem_freep)

#endif
