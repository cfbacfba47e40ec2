/* ASCII characters and words, without a locale. Any thread. */
#ifndef BASE_ASCII_H
#define BASE_ASCII_H

#include "base/str.h"

static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool ascii_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
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

/* Is s this lower-case word, in whatever case? */
static inline bool ascii_is_word(struct str s, const char *word)
{
    size_t i = 0;

    while (i < s.n && word[i] != '\0' && ascii_lower(s.p[i]) == word[i]) {
        i++;
    }
    return i == s.n && word[i] == '\0';
}

#endif
