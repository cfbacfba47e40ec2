/*
 * options.def as a table, for the code that walks over all options: parser, printer, documentation.
 * Private to config/. Constant data; any thread.
 */
#ifndef CONFIG_OPTION_H
#define CONFIG_OPTION_H

#include "base/base.h"
#include "base/str.h"

enum option_kind {
    OPTION_U32,
    OPTION_SIZE,
    OPTION_DURATION,
    OPTION_BOOL,
    OPTION_TEXT,
    OPTION_START,
    OPTION_RATE, /* min and max are those of its count */
    OPTION_ZONE,
    OPTION_DELIVERY, /* from here: one of a few words */
    OPTION_COMMIT,
    OPTION_ON_GAP,
    OPTION_SYNCHRONOUS_COMMIT,
    OPTION_WRITE_PATH,
    OPTION_FORMAT,
    OPTION_MODE,
    OPTION_DELETE,
    OPTION_ENVELOPE,
    OPTION_ON_TRUNCATE,
    OPTION_TIME_PRECISION,
    OPTION_ON_ERROR,
    OPTION_NUL,
    OPTION_NUMBERS,
    OPTION_TOO_LONG,
    OPTION_UNIT,
    OPTION_BYTES,
    OPTION_LISTEN,
    OPTION_LOG_LEVEL, /* to here */
    OPTION_PROPERTIES,
    OPTION_TOPICS,
    OPTION_TABLE,
    OPTION_KEY,
    OPTION_COLUMNS,
};

enum option_flags {
    REQUIRED = 1,
    SHOWN = 2,
    HIDDEN = 4,
};

#define SECTION_ROOT ""
#define SECTION_ROUTE "routes"

struct option {
    const char *section; /* SECTION_ROOT, SECTION_ROUTE or a name */
    const char *name;
    enum option_kind kind;
    const char *def; /* NULL = none */
    uint64_t min;
    uint64_t max;
    unsigned flags;
    const char *sample; /* NULL = def */
    const char *help;
    size_t offset;     /* of the field in struct config, for routes in struct config_route */
    size_t pos_offset; /* of its position */
};

struct option_section {
    const char *name;
    const char *help;
    size_t pos_offset; /* in struct config */
};

struct option_word {
    const char *text;
    int value;
    bool supported;
};

/* A property of librdkafka that the file may not set. name starting with * = every name that ends
 * so. */
struct option_refused {
    const char *name;
    const char *reason;
};

/* Constant arrays; the length goes to *out_n. */
const struct option *option_list(size_t *out_n);             /* in the order of the file */
const struct option_section *option_sections(size_t *out_n); /* without root and routes */
const struct option_word *option_words(enum option_kind kind,
                                       size_t *out_n); /* NULL: not of that sort */
const struct option_refused *option_refused_list(size_t *out_n);

const struct option *option_find(const char *section, struct str name);
const struct option_section *option_section_find(struct str name);
const struct option_refused *option_refused_find(struct str property);

#endif
