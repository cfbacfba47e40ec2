/*
 * Reading the fields of an encoded row, a tuple of COPY BINARY: int16 count of fields, then each as
 * int32 length (-1: NULL) and bytes. Pure; any thread.
 */
#ifndef ROW_TABLE_TUPLE_H
#define ROW_TABLE_TUPLE_H

#include "base/base.h"
#include "base/str.h"

#define TUPLE_NULL UINT32_MAX
#define TUPLE_LENGTH_BYTES sizeof(uint32_t)

/* Where the first field begins. */
static inline const char *tuple_fields(struct str tuple)
{
    return tuple.p + sizeof(uint16_t);
}

/* The field at *at with its length in front; moves past it. */
static inline struct str tuple_next(const char **at)
{
    uint32_t n;

    __builtin_memcpy(&n, *at, sizeof n);
    n = __builtin_bswap32(n);
    struct str field = {.p = *at, .n = TUPLE_LENGTH_BYTES + (n == TUPLE_NULL ? 0 : n)};
    *at += field.n;
    return field;
}

/* A field without its length; empty for NULL. */
static inline struct str tuple_data(struct str field)
{
    return (struct str){.p = field.p + TUPLE_LENGTH_BYTES, .n = field.n - TUPLE_LENGTH_BYTES};
}

#endif
