/* Control characters, see escape.h. Pure. Main thread. */
#include "command/escape.h"

#include <string.h>

/* One that breaks a line, or turns the order of those after it: U+2028 to U+202E, U+2066 to U+2069.
 */
static size_t order(struct str s, unsigned *out_code)
{
    if (s.n < 3 || (memcmp(s.p, "\xe2\x80", 2) != 0 && memcmp(s.p, "\xe2\x81", 2) != 0)) {
        return 0;
    }
    unsigned code = 0x2000 | ((unsigned) (unsigned char) s.p[1] & 0x3f) << 6 |
                    ((unsigned) (unsigned char) s.p[2] & 0x3f);
    *out_code = code;
    return (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ? 3 : 0;
}

/*
 * A control character at the start of s: its length, its code in *out_code. 0 = another character.
 * U+0080 to U+009F are two bytes in UTF-8, and terminals obey them too.
 */
static size_t control(struct str s, unsigned *out_code)
{
    unsigned char first = (unsigned char) s.p[0];

    if (first < 0x20 || first == 0x7f) {
        *out_code = first;
        return 1;
    }
    if (first == 0xc2 && s.n > 1 && (unsigned char) s.p[1] < 0xa0) {
        *out_code = (unsigned char) s.p[1];
        return 2;
    }
    return order(s, out_code);
}

void escape_add(struct buf *out, struct str s, char quote)
{
    static const char names[] = "\nn\tt\rr\bb\ff";

    while (s.n > 0) {
        unsigned code = 0;
        size_t n = control(s, &code);
        const char *name = n == 1 && code != 0 ? strchr(names, (int) code) : NULL;

        if (name != NULL) {
            buf_printf(out, "\\%c", name[1]);
        } else if (n > 0) {
            buf_printf(out, "\\u%04x", code);
        } else {
            if (quote != '\0' && (s.p[0] == '\\' || s.p[0] == quote)) {
                buf_add_u8(out, '\\');
            }
            buf_add(out, s.p, 1);
            n = 1;
        }
        s = (struct str){s.p + n, s.n - n};
    }
}

void escape_add_hex(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        buf_printf(out, "%02x", (unsigned) (unsigned char) s.p[i]);
    }
}

bool escape_is_text(struct str s)
{
    return str_utf8(s, NULL) && (s.n == 0 || memchr(s.p, '\0', s.n) == NULL);
}
