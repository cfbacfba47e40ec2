/*
 * What the parts of the loader share while one file is read: each section below is one file, and
 * each file uses only those above it. config_load.c stands on top of them. Private to config/. Main
 * thread.
 */
#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include "base/error.h"
#include "config/config.h"
#include "config/option.h"
#include "config/shown.h"
#include "config/yaml_reader.h"

struct load {
    struct config *cfg; /* being filled */
    const char *dir;    /* of the file; relative ${file:...} are looked up there */
    struct yaml_document doc;
    struct error *err; /* the last fault */
    struct config_faults *faults;
    size_t route_faults; /* how many of them are of routes */
    bool *are_whole;     /* for each route: it was read without a fault; owned */
    bool routes_meant;   /* a key is, or looks like, that of the routes */
};

/* ---- load.c ---- */

/* Sets the error at a position: ERROR_SETUP. Returns false. */
bool load_error(struct load *l, struct position pos, const char *fmt, ...) _printf_(3, 4);

/* Keeps the fault that has been set, so that the reading can go on: what has failed is left out,
 * and in the end there is no configuration. */
void load_note(struct load *l);

/* Sets the hint to the nearest of names, or else to the list of them. Returns false. */
bool load_hint_nearest(struct load *l, struct str given, const char *const *names, size_t n);

/* Sets an error unless the node is of that kind: "'label' takes what, not a single value". */
bool load_expect(struct load *l, const struct yaml_node *n, enum yaml_kind kind, const char *label,
                 const char *what) _must_;

/* What an entry of a mapping is called in messages: "columns.id". Returns out. */
const char *load_entry_label(const char *what, struct str key, char out[static 2 * SHOWN_MAX]);

/* ---- value.c ---- */

/* "kafka.brokers", "sink"; for routes just "topics". Returns out. */
const char *value_label(const struct option *o, char out[static SHOWN_MAX]);

/*
 * The text of a scalar after expansion; it lives as long as l->doc. `label` names the value in
 * messages. False for lists, mappings and nothing at all.
 */
bool value_text(struct load *l, const struct yaml_node *n, const char *label,
                struct str *out) _must_;

/* Texts that may be secrets have any character in them, and YAML takes ' #' for the beginning of a
 * comment: false if the value may have been cut there. */
bool value_check_cut(struct load *l, const struct yaml_node *n, const char *label) _must_;

/* As value_text, of an option whose flags may demand another way to expand it. */
bool value_option_text(struct load *l, const struct option *o, const struct yaml_node *n,
                       const char *label, struct str *out) _must_;

/* Is it a number, word or the like with a reference that could not be read and may be missing? The
 * option then keeps its default, and is printed as the file has it. */
bool value_lacks(struct load *l, const struct option *o, const struct yaml_node *n) _must_;

/* One of a few words; what it means goes to *out. */
bool value_word(struct load *l, const struct yaml_node *n, const char *label,
                struct option_words words, int *out) _must_;

/* ---- route.c, column.c: what they allocate is freed with the configuration, also on failure ----
 */

bool route_read_properties(struct load *l, const struct yaml_node *n, const char *label,
                           struct config_properties *out) _must_;
bool route_read_topics(struct load *l, const struct yaml_node *n, struct config_topics *out) _must_;
bool route_read_table(struct load *l, const struct yaml_node *n, struct table_name *out) _must_;
bool route_read_names(struct load *l, const struct yaml_node *n, const char *label,
                      struct config_key *out) _must_;

bool column_read(struct load *l, const struct yaml_node *n, struct config_columns *out) _must_;

/* ---- field.c ---- */

/* Reads a value into its field, which has the type of o->kind. */
bool field_read(struct load *l, const struct option *o, const struct yaml_node *n,
                void *field) _must_;

/* Sets a field to the option's default; options without one stay zero. */
void field_default(const struct option *o, void *field);

/* Sets on_error where the file says nothing, which depends on the delivery. */
void field_default_on_error(struct config *cfg);

/* ---- check_registry.c ---- */

/* Rules of the section `registry`. */
bool check_registry(struct load *l) _must_;

/* ---- check.c ---- */

/* Rules that one value alone cannot break; each fault is noted. Of the file outside of routes; of
 * one route; of all routes together. Each needs what it looks at to be read without a fault, and
 * the last one all of the file. */
void check_sections(struct load *l);
void check_route(struct load *l, const struct config_route *route);
void check_routes(struct load *l);

#endif
