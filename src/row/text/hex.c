/* Hexadecimal digits: writing, and reading eight at a time. Any thread. */
#include "row/text/hex.h"

#include "row/text/ascii.h"

void hex_add(struct buf *out, const void *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = bytes;
    uint8_t *to = buf_reserve(out, 2 * n);

    for (size_t i = 0; i < n; i++) {
        *to++ = (uint8_t) digits[from[i] >> 4];
        *to++ = (uint8_t) digits[from[i] & 15];
    }
    out->n += 2 * n;
}

bool hex_decode(struct str s, uint8_t *to)
{
    size_t i = 0;

    if (s.n % 2 != 0) {
        return false;
    }
    for (; s.n - i >= 8; i += 8) {
        if (!ascii_hex_bytes(ascii_word(s.p + i), to)) {
            return false;
        }
        to += 4;
    }
    for (; i < s.n; i += 2) {
        int high = ascii_hex(s.p[i]);
        int low = ascii_hex(s.p[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        *to++ = (uint8_t) (high * 16 + low);
    }
    return true;
}
