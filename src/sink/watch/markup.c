/* See markup.h. */
#include "sink/watch/markup.h"

/* How many bytes the character at p has, of at most 4; 0: they are none. */
static size_t character(const char *p)
{
    for (size_t n = 1; n <= 4 && p[n - 1] != '\0'; n++) {
        if (str_utf8((struct str){.p = p, .n = n}, NULL)) {
            return n;
        }
    }
    return 0;
}

static const char *html_of(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return (uint8_t) c < ' ' ? " " : NULL;
    }
}

void markup_html(struct buf *out, const char *text)
{
    while (*text != '\0') {
        size_t n = character(text);
        const char *instead = n == 0 ? "&#xfffd;" : n == 1 ? html_of(*text) : NULL;
        if (instead != NULL) {
            buf_add_z(out, instead);
        } else {
            buf_add(out, text, n);
        }
        text += MAX(n, 1);
    }
}

void markup_json(struct buf *out, const char *text)
{
    buf_add_u8(out, '"');
    while (*text != '\0') {
        size_t n = character(text);
        if (n == 0) {
            buf_add_z(out, "\\ufffd");
        } else if (n == 1 && ((uint8_t) *text < ' ' || *text == '"' || *text == '\\')) {
            buf_printf(out, "\\u%04x", (unsigned) (uint8_t) *text);
        } else {
            buf_add(out, text, n);
        }
        text += MAX(n, 1);
    }
    buf_add_u8(out, '"');
}
