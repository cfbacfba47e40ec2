/*
 * What every file may use: attributes, the length of an array, checked arithmetic, moving
 * ownership. No types of the domain. Any thread.
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef NDEBUG
#error "asserts stay on: a crash is cheaper than wrong data"
#endif

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define _must_ __attribute__((warn_unused_result))
#define _noreturn_ __attribute__((noreturn))
#define _pure_ __attribute__((pure))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Arguments are evaluated twice: no calls in them. */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Moves a pointer out of a variable: yields its value and leaves NULL behind. */
#define TAKE_PTR(p)                                                                                \
    __extension__({                                                                                \
        __auto_type take_ptr_ = (p);                                                               \
        (p) = NULL;                                                                                \
        take_ptr_;                                                                                 \
    })

/* true when the result fits and is stored; false leaves *out in an unspecified state. */
#define CHECKED_ADD(a, b, out) (!__builtin_add_overflow((a), (b), (out)))
#define CHECKED_MUL(a, b, out) (!__builtin_mul_overflow((a), (b), (out)))

#endif
