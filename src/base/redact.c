/* Pieces of a secret in a text, see redact.h. Texts are short: every place is compared. */
#include "base/redact.h"

#include <string.h>

#define MASK "***"

/* How many bytes of `at` are also in `secret`, in one piece. */
static size_t common(const char *at, const char *secret)
{
    size_t most = 0;

    for (; *secret != '\0'; secret++) {
        size_t n = 0;
        while (at[n] != '\0' && at[n] == secret[n]) {
            n++;
        }
        most = MAX(most, n);
    }
    return most;
}

static bool is_plain(const char *at, size_t n, const char *const *plain, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (plain[i] != NULL && common(at, plain[i]) >= n) {
            return true;
        }
    }
    return false;
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

/*
 * Is text[at..at+n) a part of a longer word, as sentences have them ("word" in "password")? Such a
 * word has letters alone and stands between blanks, quotes or marks of a sentence. Where a text
 * quotes what it did not understand, digits, signs, capitals or escapes are next to the piece, and
 * then it is none.
 */
static bool is_in_word(const char *text, size_t at, size_t n)
{
    size_t from = at;
    size_t end = at;

    while (is_lower(text[end])) {
        end++;
    }
    while (from > 0 && is_lower(text[from - 1])) {
        from--;
    }
    if (from > 0 && text[from - 1] >= 'A' && text[from - 1] <= 'Z') {
        from--;
    }
    return end >= at + n && end - from > n &&
           (from == 0 || strchr(" \n\t\"'(", text[from - 1]) != NULL) &&
           strchr(" \n\t\"').,:;", text[end]) != NULL; /* or the end of the text */
}

static bool is_continuation(char c)
{
    return ((unsigned char) c & 0xC0) == 0x80;
}

/* text[at..at+n) becomes the mask, with the rest of a character of which it has a part. */
static size_t replace(char *text, size_t size, size_t at, size_t n)
{
    size_t end = at + n;

    while (at > 0 && is_continuation(text[at])) {
        at--;
    }
    while (is_continuation(text[end])) {
        end++;
    }
    char mask[] = MASK;
    size_t room = size - 1 - at;
    size_t length = MIN(sizeof mask - 1, room);
    size_t rest = MIN(strlen(text + end), room - length);
    memmove(text + at + length, text + end, rest);
    memcpy(text + at, mask, length);
    text[at + length + rest] = '\0';
    return at + length;
}

void redact(char *text, size_t size, const char *secret, const char *const *plain,
            size_t plain_count)
{
    size_t whole = strlen(secret);
    size_t at = 0;

    while (text[at] != '\0') {
        size_t n = common(text + at, secret);
        bool is_word = n < REDACT_WORD && n < whole && is_in_word(text, at, n);
        if (n >= REDACT_MIN && !is_word && !is_plain(text + at, n, plain, plain_count)) {
            at = replace(text, size, at, n);
        } else {
            at++;
        }
    }
}
