/* Escapes to UTF-8, and texts to strings. A quote where none belongs ends the look at what follows.
 * Any thread. */
#include "row/json/escape.h"

#include "row/text/ascii.h"

/* Four hexadecimal digits; -1 when they are not. */
static int32_t hex4(const char *p)
{
    int32_t value = 0;

    for (int i = 0; i < 4; i++) {
        int digit = ascii_hex(p[i]);
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

static size_t put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (char) c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char) (0xC0 | (c >> 6));
        to[1] = (char) (0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char) (0xE0 | (c >> 12));
        to[1] = (char) (0x80 | ((c >> 6) & 0x3F));
        to[2] = (char) (0x80 | (c & 0x3F));
        return 3;
    }
    to[0] = (char) (0xF0 | (c >> 18));
    to[1] = (char) (0x80 | ((c >> 12) & 0x3F));
    to[2] = (char) (0x80 | ((c >> 6) & 0x3F));
    to[3] = (char) (0x80 | (c & 0x3F));
    return 4;
}

/* The escape \uXXXX at *p, or a pair of them. */
static const char *take_unicode(const char **p, char **to, bool *nul)
{
    int32_t c = hex4(*p + 2);

    if (c < 0) {
        return "bad \\u escape";
    }
    size_t length = 6;
    if (c >= 0xD800 && c < 0xDC00 && (*p)[6] == '\\' && (*p)[7] == 'u') {
        int32_t low = hex4(*p + 8);
        if (low >= 0xDC00 && low < 0xE000) {
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
            length = 12;
        }
    }
    if (c >= 0xD800 && c < 0xE000) {
        return "lone surrogate";
    }
    *nul |= c == 0;
    *to += put_utf8(*to, (uint32_t) c);
    *p += length;
    return NULL;
}

const char *escape_take(const char **p, char **to, bool *nul)
{
    char c;

    switch ((*p)[1]) {
    case '"':
    case '\\':
    case '/':
        c = (*p)[1];
        break;
    case 'b':
        c = '\b';
        break;
    case 'f':
        c = '\f';
        break;
    case 'n':
        c = '\n';
        break;
    case 'r':
        c = '\r';
        break;
    case 't':
        c = '\t';
        break;
    case 'u':
        return take_unicode(p, to, nul);
    default:
        return "bad escape";
    }
    *(*to)++ = c;
    *p += 2;
    return NULL;
}

static void put_escape(struct buf *out, uint8_t c)
{
    static const char letters[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

    if (c == '"' || c == '\\') {
        buf_add_u8(out, '\\');
        buf_add_u8(out, c);
    } else if (c < sizeof letters && letters[c] != '\0') {
        buf_add_u8(out, '\\');
        buf_add_u8(out, (uint8_t) letters[c]);
    } else {
        buf_printf(out, "\\u%04x", c);
    }
}

/* Does none of eight characters need an escape? */
static bool is_plain(uint64_t word)
{
    uint64_t quote = word ^ (ASCII_ONES * '"');
    uint64_t slash = word ^ (ASCII_ONES * '\\');
    uint64_t hit = ((word - ASCII_ONES * 0x20) & ~word) | ((quote - ASCII_ONES) & ~quote) |
                   ((slash - ASCII_ONES) & ~slash);

    return (hit & ASCII_HIGHS) == 0;
}

void escape_quote(struct buf *out, struct str text)
{
    size_t plain = 0; /* where what needs no escape begins */

    buf_add_u8(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.n - i >= 8 && is_plain(ascii_word(text.p + i))) {
            i += 7;
            continue;
        }
        uint8_t c = (uint8_t) text.p[i];
        if (c < 0x20 || c == '"' || c == '\\') {
            buf_add(out, text.p + plain, i - plain);
            put_escape(out, c);
            plain = i + 1;
        }
    }
    buf_add(out, text.p + plain, text.n - plain);
    buf_add_u8(out, '"');
}
