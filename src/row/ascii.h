/* ASCII characters and words, without a locale. Any thread. */
#ifndef ROW_ASCII_H
#define ROW_ASCII_H

#include "base/str.h"

static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c + ('a' - 'A')) : c;
}

/* The value of a hexadecimal digit, or -1. */
static inline int ascii_hex(char c)
{
    if (ascii_is_digit(c)) {
        return c - '0';
    }
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Is s that lower-case word, in whatever case? */
static inline bool ascii_is_word(struct str s, const char *word)
{
    size_t i = 0;
    while (i < s.n && word[i] && ascii_lower(s.p[i]) == word[i]) {
        i++;
    }
    return i == s.n && !word[i];
}

#endif
