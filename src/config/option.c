/* The tables of option.h, all expansions of options.def and refused.def. Constant data. */
#include "config/option.h"

#include "base/ascii.h"
#include "config/config.h"
#include "config/units.h"

#include <string.h>

#define ENUM_BEGIN(tag)                                                                            \
    _Static_assert(sizeof(enum tag) == sizeof(int), "fields of words are read and set as an int"); \
    static const struct option_word tag##_words[] = {
#define ENUM_VALUE(tag, id, text) {text, id},
#define ENUM_END(tag)                                                                              \
    }                                                                                              \
    ;
#include "config/options.def"

static const struct option_word log_level_words[] = {
#define ENUM_LOG_LEVEL(id, text) {text, id},
#include "config/options.def"
};

static const struct option_word log_format_words[] = {
#define ENUM_LOG_FORMAT(id, text) {text, id},
#include "config/options.def"
};

/* The kind WORD(tag) of a row sets two members: OPTION_##kind calls this macro then. */
#define OPTION_WORD(tag) OPTION_WORD, .words = {tag##_words, ARRAY_LEN(tag##_words)}

/* A row of options.def whose field is `field` of struct `owner`. */
#define ROW(in, owner, field, title, k, d, lo, hi, f, s, h)                                        \
    {                                                                                              \
        .section = (in),                                                                           \
        .name = (title),                                                                           \
        .kind = OPTION_##k,                                                                        \
        .def = (d),                                                                                \
        .min = (lo),                                                                               \
        .max = (hi),                                                                               \
        .flags = (f),                                                                              \
        .sample = (s),                                                                             \
        .help = (h),                                                                               \
        .offset = offsetof(struct owner, field),                                                   \
        .pos_offset = offsetof(struct owner, field##_pos),                                         \
    },

static const struct option options[] = {
#define ROOT_OPTION(n, k, d, lo, hi, f, s, h)                                                      \
    ROW(SECTION_ROOT, config, n, #n, k, d, lo, hi, f, s, h)
#define OPTION(sec, n, k, d, lo, hi, f, s, h) ROW(#sec, config, sec.n, #n, k, d, lo, hi, f, s, h)
#define ROUTE_OPTION(n, k, d, lo, hi, f, s, h)                                                     \
    ROW(SECTION_ROUTE, config_route, n, #n, k, d, lo, hi, f, s, h)
#include "config/options.def"
};
#undef ROW
#undef OPTION_WORD

static const struct option_section sections[] = {
#define SECTION_BEGIN(sec, h) {#sec, h, offsetof(struct config, sec.pos)},
#include "config/options.def"
};

static const struct option_refused refused[] = {
#define REFUSED(name, reason) {name, reason},
#include "config/refused.def"
#undef REFUSED
};

struct foreign {
    const char *option; /* NULL: it is a key */
    const char *word;
    const char *hint;
};

static const struct foreign foreign[] = {
#define FOREIGN(word, hint) {NULL, word, hint},
#define FOREIGN_VALUE(option, word, hint) {option, word, hint},
#include "config/foreign.def"
};

const struct option *option_list(size_t *out_n)
{
    *out_n = ARRAY_LEN(options);
    return options;
}

const struct option_section *option_sections(size_t *out_n)
{
    *out_n = ARRAY_LEN(sections);
    return sections;
}

const char *option_word_text(struct option_words words, int value)
{
    for (size_t i = 0; i < words.count; i++) {
        if (words.items[i].value == value) {
            return words.items[i].text;
        }
    }
    return "";
}

void option_print_number(enum option_kind kind, uint64_t value, struct buf *out)
{
    if (kind == OPTION_SIZE) {
        units_print_size(value, out);
    } else if (kind == OPTION_DURATION) {
        units_print_duration(value, out);
    } else {
        buf_printf(out, "%llu", (unsigned long long) value);
    }
}

_Static_assert(CONFIG_UNIT_NONE == 0, "the first word of config_unit is left out");

const char *config_value_schema(const struct config_route *route)
{
    const struct option_words words = {config_format_words, ARRAY_LEN(config_format_words)};

    switch (route->format) {
    case CONFIG_FORMAT_JSON:
    case CONFIG_FORMAT_RAW:
        return NULL;
    case CONFIG_FORMAT_AVRO:
    case CONFIG_FORMAT_PROTOBUF:
    case CONFIG_FORMAT_JSON_SCHEMA:
        return option_word_text(words, (int) route->format);
    }
    __builtin_unreachable();
}

const char *config_key_schema(const struct config_route *route)
{
    const struct option_words words = {config_key_format_words, ARRAY_LEN(config_key_format_words)};

    switch (route->key_format) {
    case CONFIG_KEY_AUTO:
    case CONFIG_KEY_TEXT:
    case CONFIG_KEY_JSON:
    case CONFIG_KEY_INT32:
    case CONFIG_KEY_INT64:
        return NULL;
    case CONFIG_KEY_AVRO:
    case CONFIG_KEY_PROTOBUF:
    case CONFIG_KEY_JSON_SCHEMA:
        return option_word_text(words, (int) route->key_format);
    }
    __builtin_unreachable();
}

struct option_words option_units(void)
{
    return (struct option_words){config_unit_words + 1, ARRAY_LEN(config_unit_words) - 1};
}

_Static_assert(CONFIG_PARSE_NONE == 0, "the first word of config_parse is left out");

struct option_words option_parses(void)
{
    return (struct option_words){config_parse_words + 1, ARRAY_LEN(config_parse_words) - 1};
}

const struct option_refused *option_refused_list(size_t *out_n)
{
    *out_n = ARRAY_LEN(refused);
    return refused;
}

bool option_is_live(const struct option *o)
{
    return (o->flags & LIVE) != 0 || strcmp(o->section, SECTION_ROUTE) == 0;
}

const struct option *option_find(const char *section, struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (strcmp(options[i].section, section) == 0 && str_eq_z(name, options[i].name)) {
            return &options[i];
        }
    }
    return NULL;
}

const struct option_section *option_section_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        if (str_eq_z(name, sections[i].name)) {
            return &sections[i];
        }
    }
    return NULL;
}

static bool refused_matches(const char *pattern, struct str name)
{
    size_t n = strlen(pattern);

    if (pattern[0] != '*') {
        return str_eq_z(name, pattern);
    }
    return name.n >= n - 1 && memcmp(name.p + name.n - (n - 1), pattern + 1, n - 1) == 0;
}

/* max_poll_records is max.poll.records. */
static char dotted(char c)
{
    return c == '_' || c == '-' ? '.' : ascii_lower(c);
}

static bool begins_with(struct str name, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i >= name.n || dotted(name.p[i]) != text[i]) {
            return false;
        }
    }
    return true;
}

static bool foreign_matches(const char *pattern, struct str name)
{
    size_t n = strlen(pattern);

    if (pattern[0] == '*') {
        struct str end = {name.p + name.n - MIN(name.n, n - 1), MIN(name.n, n - 1)};
        return name.n > n - 1 && begins_with(end, pattern + 1, n - 1);
    }
    if (pattern[n - 1] == '*') {
        return name.n > n - 1 && begins_with(name, pattern, n - 1);
    }
    return name.n == n && begins_with(name, pattern, n);
}

const char *option_foreign_hint(struct str word)
{
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        if (foreign[i].option == NULL && foreign_matches(foreign[i].word, word)) {
            return foreign[i].hint;
        }
    }
    return NULL;
}

const char *option_foreign_value(const char *label, struct str word)
{
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        bool is_option = foreign[i].option != NULL && strcmp(foreign[i].option, label) == 0;
        if (is_option && ascii_is_word(word, foreign[i].word)) {
            return foreign[i].hint;
        }
    }
    return NULL;
}

const struct option_refused *option_refused_find(struct str property)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if (refused_matches(refused[i].name, property)) {
            return &refused[i];
        }
    }
    return NULL;
}
