/* See place.h. Pure. Main thread. */
#include "command/place.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

static bool parse_partition(struct str s, struct record_place *out, struct error *err)
{
    int64_t n;

    if (s.n == 0 || *s.p < '0' || *s.p > '9' || !str_to_i64(s, &n) || n > INT32_MAX) {
        return error_set(err, ERROR_SETUP, "'" STR_FMT "' is not a partition", STR_ARG(s));
    }
    out->partition = (int32_t) n;
    return true;
}

static bool parse_offset(const char *text, struct record_place *out, struct error *err)
{
    struct str s = str_of(text);

    if (strcmp(text, "latest") == 0) {
        out->kind = PLACE_NEWEST;
        return true;
    }
    if (strcmp(text, "earliest") == 0) {
        out->kind = PLACE_EARLIEST;
        return true;
    }
    if (!str_to_i64(s, &out->number) || out->number < -PLACE_BACK_MAX) {
        error_set(err, ERROR_SETUP, "'%s' is not an offset", text);
        return error_hint(err,
                          "An offset, earliest, latest, or -5 for the fifth from the end (at "
                          "most %d).",
                          PLACE_BACK_MAX);
    }
    out->kind = *text == '-' && out->number != 0 ? PLACE_BACK : PLACE_OFFSET;
    out->number = out->kind == PLACE_BACK ? -out->number : out->number;
    return true;
}

/* A topic's name has neither a colon nor an at sign. */
bool place_parse(const char *word, struct record_place *out, struct error *err)
{
    const char *at = strchr(word, '@');
    struct str front = {.p = word, .n = at != NULL ? (size_t) (at - word) : strlen(word)};
    const char *colon = memchr(front.p, ':', front.n);
    size_t n = colon != NULL ? (size_t) (colon - word) : front.n;

    *out = (struct record_place){.partition = -1, .kind = PLACE_NEWEST};
    if (n == 0 || n >= PLACE_TOPIC_MAX) {
        return error_set(err, ERROR_SETUP, "'%s' does not begin with the name of a topic", word);
    }
    memcpy(out->topic, word, n);
    if (colon != NULL &&
        !parse_partition((struct str){.p = colon + 1, .n = front.n - n - 1}, out, err)) {
        return false;
    }
    return at == NULL || parse_offset(at + 1, out, err);
}

/* A topic's name may end like a partition, so only what has an offset and no colon is taken for
 * one. */
bool place_parse_printed(const char *word, struct record_place *out, struct error *err)
{
    _cleanup_mem_ char *copy = mem_strdup(word);
    char *at = strchr(copy, '@');
    char *dash = at != NULL ? memrchr(copy, '-', (size_t) (at - copy)) : NULL;

    if (dash != NULL && memchr(copy, ':', (size_t) (at - copy)) == NULL &&
        dash[1 + strspn(dash + 1, "0123456789")] == '@' && dash + 1 < at) {
        *dash = ':';
    }
    if (!place_parse(copy, out, err)) {
        return false;
    }
    return at == NULL || out->kind == PLACE_OFFSET ||
           error_set(err, ERROR_SETUP, "'%s' is not the offset of a record", strchr(word, '@') + 1);
}
