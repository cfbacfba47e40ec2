/*
 * options.def as a table, for the code that walks over all options: parser, printer, documentation.
 * Private to config/. Constant data; any thread.
 */
#ifndef CONFIG_OPTION_H
#define CONFIG_OPTION_H

#include "base/base.h"
#include "base/buf.h"
#include "base/str.h"

enum option_kind {
    OPTION_U32,
    OPTION_SIZE,
    OPTION_DURATION,
    OPTION_BOOL,
    OPTION_TEXT,
    OPTION_START,
    OPTION_ALLOWANCE, /* min and max are those of the count of a rate */
    OPTION_ZONE,
    OPTION_WORD, /* one of a few */
    OPTION_PROPERTIES,
    OPTION_TOPICS,
    OPTION_TABLE,
    OPTION_KEY,
    OPTION_COLUMNS,
};

enum option_flags {
    REQUIRED = 1,
    SHOWN = 2,
    LIVE = 4,  /* a reload can change it; so it can all options of routes, which are without it */
    AGAIN = 8, /* ${...} in it is expanded again for each connection */
    DSN = 16, /* a connection string: what ${...} brings in is quoted, and its secrets are masked */
    SECRET = 32,
    URLS = 64, /* separated by commas; masked if one of them holds a password */
};

#define SECTION_ROOT ""
#define SECTION_ROUTE "routes"

struct option_word {
    const char *text;
    int value;
};

struct option_words {
    const struct option_word *items;
    size_t count;
};

struct option {
    const char *section; /* SECTION_ROOT, SECTION_ROUTE or a name */
    const char *name;
    enum option_kind kind;
    struct option_words words; /* of OPTION_WORD; empty for other kinds */
    const char *def;           /* NULL = none */
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

/* A property of librdkafka that the file may not set; "*_x" = every name that ends in _x. */
struct option_refused {
    const char *name;
    const char *reason;
};

/* Constant arrays; their length goes to *out_n. */
const struct option *option_list(size_t *out_n);             /* in the order of the file */
const struct option_section *option_sections(size_t *out_n); /* without root and routes */
const struct option_refused *option_refused_list(size_t *out_n);

/* The word of that value, "" when there is none. */
const char *option_word_text(struct option_words words, int value);

/* Appends a number, size or duration as a file would have it. */
void option_print_number(enum option_kind kind, uint64_t value, struct buf *out);

/* The words of a column's `unit` and `parse`: those of time_unit and of the route's `parse` except
 * `none`, which is not written there. */
struct option_words option_units(void);
struct option_words option_parses(void);

/* Can it change while the program runs? */
bool option_is_live(const struct option *o) _pure_;

/* NULL when there is none. */
const struct option *option_find(const char *section, struct str name);
const struct option_section *option_section_find(struct str name);
const struct option_refused *option_refused_find(struct str property);

/* What a key of another program is here, what such a value of the option of that label is: a
 * sentence (foreign.def); NULL: not known. */
const char *option_foreign_hint(struct str word);
const char *option_foreign_value(const char *label, struct str word);

#endif
