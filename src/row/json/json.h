/*
 * The C face of simdjson: the index of a JSON text, which is what its first stage makes. It finds
 * every structural character, the opening quote of every string and the first byte of every other
 * token, and checks the text's UTF-8, that strings are closed, and that they hold no raw control
 * character. It does not check the grammar: row/json/document.c walks the index and does.
 *
 * simdjson's own readers are not used: its on-demand reader checks only what is touched and its
 * document reader loses the exact text of numbers. One thread per index.
 */
#ifndef ROW_JSON_JSON_H
#define ROW_JSON_JSON_H

#include "base/base.h"

/* Bytes that must be readable after a text (simdjson's SIMDJSON_PADDING). Their content does not
 * matter. */
#define JSON_PADDING 64

enum json_fault {
    JSON_OK,
    JSON_EMPTY,       /* nothing but white space */
    JSON_UTF8,        /* not well-formed UTF-8 */
    JSON_CONTROL,     /* a control character inside a string */
    JSON_OPEN_STRING, /* a string without an end */
    JSON_TOO_LARGE,   /* 4 GiB or more */
};

struct json_index;

struct json_index *json_index_new(void) _must_;
struct json_index *json_index_free(struct json_index *x); /* returns NULL */

/*
 * Indexes the n bytes at text. *out_at are the positions, rising, *out_count of them, and after
 * them n itself; they belong to x and are valid until the next call. Out of memory ends the
 * process.
 */
enum json_fault json_index_read(struct json_index *x, const char *text, size_t n,
                                const uint32_t **out_at, size_t *out_count) _must_;

/* The number with the fewest digits that is read as this one again, in JSON's form; it is finite.
 * Returns how many bytes of `to` it takes; there is no NUL after them. */
#define JSON_DOUBLE_MAX 32
size_t json_print_double(char to[JSON_DOUBLE_MAX], double d);
size_t json_print_float(char to[JSON_DOUBLE_MAX], float f);

#endif
