/* The tables behind option.h, all expansions of options.def and refused.def. Constant data. */
#include "config/option.h"

#include "config/config.h"

#include <string.h>

static const struct option options[] = {
#define ROOT_OPTION(n, k, d, lo, hi, f, s, h)                                                      \
    {SECTION_ROOT,                                                                                 \
     #n,                                                                                           \
     OPTION_##k,                                                                                   \
     d,                                                                                            \
     lo,                                                                                           \
     hi,                                                                                           \
     f,                                                                                            \
     s,                                                                                            \
     h,                                                                                            \
     offsetof(struct config, n),                                                                   \
     offsetof(struct config, n##_pos)},
#define OPTION(sec, n, k, d, lo, hi, f, s, h)                                                      \
    {#sec,                                                                                         \
     #n,                                                                                           \
     OPTION_##k,                                                                                   \
     d,                                                                                            \
     lo,                                                                                           \
     hi,                                                                                           \
     f,                                                                                            \
     s,                                                                                            \
     h,                                                                                            \
     offsetof(struct config, sec.n),                                                               \
     offsetof(struct config, sec.n##_pos)},
#define ROUTE_OPTION(n, k, d, lo, hi, f, s, h)                                                     \
    {SECTION_ROUTE,                                                                                \
     #n,                                                                                           \
     OPTION_##k,                                                                                   \
     d,                                                                                            \
     lo,                                                                                           \
     hi,                                                                                           \
     f,                                                                                            \
     s,                                                                                            \
     h,                                                                                            \
     offsetof(struct config_route, n),                                                             \
     offsetof(struct config_route, n##_pos)},
#include "config/options.def"
};

static const struct option_section sections[] = {
#define SECTION_BEGIN(sec, h) {#sec, h, offsetof(struct config, sec.pos)},
#include "config/options.def"
};

#define ENUM_BEGIN(tag) static const struct option_word tag##_words[] = {
#define ENUM_VALUE(tag, id, text, supported) {text, id, supported},
#define ENUM_END(tag)                                                                              \
    }                                                                                              \
    ;
#include "config/options.def"

static const struct option_word log_level_words[] = {
#define ENUM_LOG_LEVEL(id, text) {text, id, true},
#include "config/options.def"
};

static const struct option_refused refused[] = {
#define REFUSED(name, reason) {name, reason},
#include "config/refused.def"
#undef REFUSED
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

#define WORDS(array) (*out_n = ARRAY_LEN(array), (array))

const struct option_word *option_words(enum option_kind kind, size_t *out_n)
{
    switch (kind) {
    case OPTION_DELIVERY:
        return WORDS(config_delivery_words);
    case OPTION_COMMIT:
        return WORDS(config_commit_words);
    case OPTION_ON_GAP:
        return WORDS(config_on_gap_words);
    case OPTION_SYNCHRONOUS_COMMIT:
        return WORDS(config_synchronous_commit_words);
    case OPTION_WRITE_PATH:
        return WORDS(config_write_path_words);
    case OPTION_FORMAT:
        return WORDS(config_format_words);
    case OPTION_MODE:
        return WORDS(config_mode_words);
    case OPTION_DELETE:
        return WORDS(config_delete_words);
    case OPTION_ENVELOPE:
        return WORDS(config_envelope_words);
    case OPTION_ON_TRUNCATE:
        return WORDS(config_on_truncate_words);
    case OPTION_TIME_PRECISION:
        return WORDS(config_time_precision_words);
    case OPTION_ON_ERROR:
        return WORDS(config_on_error_words);
    case OPTION_NUL:
        return WORDS(config_nul_words);
    case OPTION_NUMBERS:
        return WORDS(config_numbers_words);
    case OPTION_TOO_LONG:
        return WORDS(config_too_long_words);
    case OPTION_UNIT:
        return WORDS(config_unit_words);
    case OPTION_BYTES:
        return WORDS(config_bytes_words);
    case OPTION_LISTEN:
        return WORDS(config_listen_words);
    case OPTION_LOG_LEVEL:
        return WORDS(log_level_words);
    case OPTION_U32:
    case OPTION_SIZE:
    case OPTION_DURATION:
    case OPTION_BOOL:
    case OPTION_TEXT:
    case OPTION_START:
    case OPTION_RATE:
    case OPTION_ZONE:
    case OPTION_PROPERTIES:
    case OPTION_TOPICS:
    case OPTION_TABLE:
    case OPTION_KEY:
    case OPTION_COLUMNS:
        break;
    }
    *out_n = 0;
    return NULL;
}

const struct option_refused *option_refused_list(size_t *out_n)
{
    *out_n = ARRAY_LEN(refused);
    return refused;
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

const struct option_refused *option_refused_find(struct str property)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if (refused_matches(refused[i].name, property)) {
            return &refused[i];
        }
    }
    return NULL;
}
