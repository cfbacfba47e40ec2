/*
 * Views of text and bytes: a pointer and a length, never owned, never NUL-terminated by promise.
 * p == NULL means "absent" (a Kafka null), which differs from an empty view. Any thread.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/base.h"

struct str {
    const char *p;
    size_t n;
};

/* For "%.*s": STR_ARG(s) gives the int length and the pointer. */
#define STR_FMT "%.*s"
#define STR_ARG(s) (int) MIN((s).n, (size_t) INT32_MAX), ((s).p != NULL ? (s).p : "")

/* A view of a string literal. */
#define STR_LIT(lit) ((struct str){.p = (lit), .n = sizeof(lit) - 1})

struct str str_of(const char *z) _pure_;        /* view of a C string; NULL gives the absent view */
bool str_eq(struct str a, struct str b) _pure_; /* absent equals only absent */
bool str_eq_z(struct str a, const char *z) _pure_;
int str_cmp(struct str a,
            struct str b) _pure_; /* memcmp's order, shorter first, absent before empty */
bool str_starts(struct str s, const char *prefix) _pure_;
struct str str_trim(struct str s) _pure_; /* without ASCII white space at both ends */

/* The whole text as a decimal number, perhaps with a sign, without white space. False when it is
 * none or does not fit: *out is untouched. */
bool str_to_i64(struct str s, int64_t *out) _must_;
bool str_to_u64(struct str s, uint64_t *out) _must_;

/*
 * Is s well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms)? *out_chars, when not NULL,
 * receives the number of code points.
 */
bool str_utf8(struct str s, size_t *out_chars);

/* The length of the well-formed character at the start of s, which is not empty; 0: there is none.
 */
size_t str_utf8_char(struct str s) _pure_;

/* FNV-1a: for hash tables, and to tell apart what nobody makes alike on purpose. */
uint64_t str_hash(struct str s) _pure_;

/* The name that is nearest to s by edit distance, or NULL when none is near enough to suggest. */
const char *str_nearest(const char *s, const char *const *names, size_t n);

#endif
