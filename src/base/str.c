/* Views: comparing, numbers, UTF-8, hash, nearest name. Pure, without allocation; any thread. */
#include "base/str.h"

#include "base/ascii.h"

#include <string.h>

struct str str_of(const char *z)
{
    return (struct str){.p = z, .n = z != NULL ? strlen(z) : 0};
}

bool str_eq(struct str a, struct str b)
{
    if (a.n != b.n || (a.p == NULL) != (b.p == NULL)) {
        return false;
    }
    return a.n == 0 || memcmp(a.p, b.p, a.n) == 0;
}

bool str_eq_z(struct str a, const char *z)
{
    return str_eq(a, str_of(z));
}

int str_cmp(struct str a, struct str b)
{
    size_t n = MIN(a.n, b.n);
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

    if (order != 0) {
        return order;
    }
    if (a.n != b.n) {
        return a.n < b.n ? -1 : 1;
    }
    return (a.p != NULL) - (b.p != NULL); /* absent before empty */
}

bool str_starts(struct str s, const char *prefix)
{
    size_t n = strlen(prefix);

    return s.n >= n && (n == 0 || memcmp(s.p, prefix, n) == 0);
}

struct str str_trim(struct str s)
{
    while (s.n > 0 && ascii_is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && ascii_is_space(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

/* Digits only. */
static bool digits_to_u64(struct str s, uint64_t *out)
{
    uint64_t v = 0;

    if (s.n == 0) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        uint64_t digit = (uint64_t) s.p[i] - '0';
        if (s.p[i] < '0' || digit > 9 || !CHECKED_MUL(v, (uint64_t) 10, &v) ||
            !CHECKED_ADD(v, digit, &v)) {
            return false;
        }
    }
    *out = v;
    return true;
}

/* Removes one sign; true when it was a minus. */
static bool skip_sign(struct str *s)
{
    if (s->n == 0 || (s->p[0] != '-' && s->p[0] != '+')) {
        return false;
    }
    s->n--;
    return *s->p++ == '-';
}

bool str_to_i64(struct str s, int64_t *out)
{
    bool minus = skip_sign(&s);
    uint64_t v;

    if (!digits_to_u64(s, &v) || v > (uint64_t) INT64_MAX + minus) {
        return false;
    }
    /* 0 - v in unsigned arithmetic is the two's complement, INT64_MIN included. */
    *out = (int64_t) (minus ? 0 - v : v);
    return true;
}

bool str_to_u64(struct str s, uint64_t *out)
{
    return !skip_sign(&s) && digits_to_u64(s, out);
}

/*
 * Length of the well-formed character at p with n > 0 bytes left, or 0. The second byte's range
 * is what excludes overlong forms, surrogates and everything above U+10FFFF (Unicode, table 3-7).
 */
static size_t utf8_char(const uint8_t *p, size_t n)
{
    uint8_t lead = p[0];
    uint8_t low = 0x80;
    uint8_t high = 0xBF;
    size_t len;

    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xC2 || lead > 0xF4) {
        return 0;
    }
    len = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead == 0xE0) {
        low = 0xA0;
    } else if (lead == 0xED) {
        high = 0x9F;
    } else if (lead == 0xF0) {
        low = 0x90;
    } else if (lead == 0xF4) {
        high = 0x8F;
    }
    if (n < len || p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return len;
}

size_t str_utf8_char(struct str s)
{
    return utf8_char((const uint8_t *) s.p, s.n);
}

bool str_utf8(struct str s, size_t *out_chars)
{
    const uint8_t *p = (const uint8_t *) s.p;
    size_t chars = 0;
    size_t i = 0;

    while (i < s.n) {
        uint64_t word;

        /* Most text is ASCII: eight bytes at a time. */
        if (s.n - i >= sizeof word) {
            memcpy(&word, p + i, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof word;
                chars += sizeof word;
                continue;
            }
        }
        size_t len = utf8_char(p + i, s.n - i);
        if (len == 0) {
            return false;
        }
        i += len;
        chars++;
    }
    if (out_chars != NULL) {
        *out_chars = chars;
    }
    return true;
}

uint64_t str_hash(struct str s)
{
    uint64_t h = UINT64_C(0xCBF29CE484222325);

    for (size_t i = 0; i < s.n; i++) {
        h = (h ^ (uint8_t) s.p[i]) * UINT64_C(0x100000001B3);
    }
    return h;
}

enum { NEAREST_MAX = 63 }; /* longer names are never suggested: three rows fit on the stack */

/* Insert, delete, replace, or swap of neighbours, each 1, without regard to ASCII case. */
static size_t edit_distance(struct str a, struct str b)
{
    size_t rows[3][NEAREST_MAX + 1];

    for (size_t j = 0; j <= b.n; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a.n; i++) {
        size_t *now = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *two_above = rows[(i + 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            char x = ascii_lower(a.p[i - 1]);
            char y = ascii_lower(b.p[j - 1]);
            size_t best = MIN(above[j], now[j - 1]) + 1;

            best = MIN(best, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == ascii_lower(b.p[j - 2]) && y == ascii_lower(a.p[i - 2])) {
                best = MIN(best, two_above[j - 2] + 1);
            }
            now[j] = best;
        }
    }
    return rows[a.n % 3][b.n];
}

const char *str_nearest(const char *s, const char *const *names, size_t n)
{
    struct str want = str_of(s);
    size_t best = 1 + want.n / 4; /* at a greater distance it is another word, not a typo */
    const char *nearest = NULL;

    if (want.n > NEAREST_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        struct str name = str_of(names[i]);
        if (name.n > NEAREST_MAX) {
            continue;
        }
        size_t distance = edit_distance(want, name);
        if (distance < MAX(want.n, name.n) && distance < best + (nearest == NULL)) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
