/*
 * What the parts of the loader share while one file is read: config.c walks over sections, value.c
 * reads single values, route.c the lists and mappings, check.c looks at the whole. Private to
 * config/. Main thread.
 */
#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include "base/error.h"
#include "config/config.h"
#include "config/option.h"
#include "config/yaml_reader.h"

/* A value whose text in the file, before expansion, is needed for printing. */
struct source_text {
    struct position pos;
    char *text;
};

struct config_source {
    struct source_text *items;
    size_t count;
    size_t cap;
};

struct load {
    struct config *cfg; /* being filled */
    char *dir;          /* of the file */
    struct yaml_document doc;
    struct error *err;
};

#define SHOW_MAX 64
struct shown {
    char text[SHOW_MAX];
};

/* At most 60 bytes of a text, on one line, for a message. Never of a secret or expanded value. */
struct shown load_show(struct str text);

/* Sets the error at a position. Returns false. */
bool load_error(struct load *l, struct position pos, const char *fmt, ...) _printf_(3, 4);

/* Sets the hint to the nearest of names, or else to the list of them. Returns false. */
bool load_hint_nearest(struct load *l, struct str given, const char *const *names, size_t n);

/* The text as the file had it, when the value at pos was expanded; else NULL. */
const char *source_find(const struct config_source *s, struct position pos);

/* ---- value.c ---- */

/*
 * The text of a scalar after expansion; it lives as long as l->doc. `label` names the value in
 * messages. False for lists, mappings and nothing at all.
 */
bool value_text(struct load *l, const struct yaml_node *n, const char *label,
                struct str *out) _must_;

/* One of a few words; the value goes to *out. */
bool value_word(struct load *l, const struct yaml_node *n, const char *label,
                struct option_words words, int *out) _must_;

/* Reads a single value into its field (at field, of the type of o->kind). */
bool value_read(struct load *l, const struct option *o, const struct yaml_node *n,
                void *field) _must_;

/* Sets a field to the option's default; options without one stay zero. */
void value_default(const struct option *o, void *field);

/* "kafka.brokers", "sink"; for routes just "topics". */
const char *value_label(const struct option *o, char out[static SHOW_MAX]);

/* ---- route.c ---- */

bool route_read_properties(struct load *l, const struct yaml_node *n,
                           struct config_properties *out) _must_;
bool route_read_topics(struct load *l, const struct yaml_node *n, struct config_topics *out) _must_;
bool route_read_table(struct load *l, const struct yaml_node *n, struct table_name *out) _must_;
bool route_read_names(struct load *l, const struct yaml_node *n, const char *label,
                      struct config_key *out) _must_;

/* A fault unless the node is of that kind: "'label' takes what, not a scalar". */
bool route_expect(struct load *l, const struct yaml_node *n, enum yaml_kind kind, const char *label,
                  const char *what) _must_;

/* What an entry of a mapping is called in messages: "columns.id". */
const char *route_entry_label(const char *what, struct str key, char out[static 2 * SHOW_MAX]);

/* ---- column.c ---- */

bool column_read(struct load *l, const struct yaml_node *n, struct config_columns *out) _must_;
void column_done(struct config_columns *list);

/* ---- check.c ---- */

/* Rules that one value alone cannot break. */
bool check_config(struct load *l) _must_;

#endif
