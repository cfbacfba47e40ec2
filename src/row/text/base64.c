/* See base64.h. Any thread. */
#include "row/text/base64.h"

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* Removes the padding; false when there is some and it is wrong. */
static bool unpad(struct str *s)
{
    size_t n = s->n;

    while (n > 0 && s->n - n < 2 && s->p[n - 1] == '=') {
        n--;
    }
    bool padded = n < s->n;
    if ((padded && s->n % 4 != 0) || n % 4 == 1) {
        return false;
    }
    s->n = n;
    return true;
}

bool base64_decode(struct str s, uint8_t *to, size_t *out_n)
{
    uint32_t bits = 0;
    size_t n = 0;

    if (!unpad(&s)) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        int value = value_of(s.p[i]);
        if (value < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t) value;
        if (i % 4 != 0) {
            to[n++] = (uint8_t) (bits >> (6 - 2 * (i % 4)));
        }
    }
    *out_n = n;
    return s.n % 4 == 0 || (bits & (s.n % 4 == 2 ? 0xFU : 0x3U)) == 0;
}

void base64_add(struct buf *out, struct str bytes, enum base64_alphabet alphabet)
{
    static const char common[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const char *last = alphabet == BASE64_URL_SAFE ? "-_" : "+/";

    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t n = MIN(bytes.n - i, (size_t) 3);
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++) {
            bits = bits << 8 | (k < n ? (uint8_t) bytes.p[i + k] : 0);
        }
        for (size_t k = 0; k < 4; k++) {
            uint32_t six = bits >> (18 - 6 * k) & 63;
            buf_add_u8(out, k > n      ? '='
                            : six < 62 ? (uint8_t) common[six]
                                       : (uint8_t) last[six - 62]);
        }
    }
}
