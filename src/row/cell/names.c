/* See names.h. */
#include "row/cell/names.h"

#include "base/ascii.h"
#include "row/cell/fields.h"

_Static_assert(sizeof(struct folded_name) - sizeof(size_t) >= NAMES_MAX + FIELD_PADDING,
               "there is no padding after a name");

static bool is_capital(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_small(char c)
{
    return (c >= 'a' && c <= 'z') || (uint8_t) c >= 0x80;
}

/* Does a word begin with the capital letter at i? */
static bool begins_word(struct str name, size_t i)
{
    if (i == 0) {
        return false;
    }
    char before = name.p[i - 1];
    return is_small(before) || ascii_is_digit(before) ||
           (is_capital(before) && i + 1 < name.n && is_small(name.p[i + 1]));
}

static void put(struct folded_name *to, char c)
{
    to->text[to->n++] = c;
}

static void put_snake(struct folded_name *to, struct str name, size_t i)
{
    char c = name.p[i];

    if (is_capital(c) && begins_word(name, i)) {
        put(to, '_');
    }
    put(to, c == '-' || c == ' ' ? '_' : ascii_lower(c));
}

bool names_fold(enum name_policy policy, struct str name, struct folded_name *out)
{
    out->n = 0;
    for (size_t i = 0; i < name.n; i++) {
        if (out->n > NAMES_MAX - 2) {
            return false;
        }
        switch (policy) {
        case NAMES_EXACT:
            put(out, name.p[i]);
            break;
        case NAMES_LOWER:
            put(out, ascii_lower(name.p[i]));
            break;
        case NAMES_SNAKE_CASE:
            put_snake(out, name, i);
            break;
        }
    }
    return true;
}
