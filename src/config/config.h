/*
 * The configuration file as the program sees it: one immutable `struct config`, whose fields come
 * from options.def. Loading checks everything that needs neither a server nor another room's
 * library; every value keeps its place in the file, so that later checks can name it too.
 *
 * For each option NAME of a section there are two fields: cfg->section.NAME and
 * cfg->section.NAME_pos (line 0 = not in the file, the default holds). Options at the top level
 * have no section: cfg->sink.
 *
 * Loaded by the main thread before others start, and by the scout for a reload; read by any thread
 * afterwards.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/base.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "config/position.h"
#include "config/table_name.h"

#define ENUM_BEGIN(tag) enum tag {
#define ENUM_VALUE(tag, id, text) id,
#define ENUM_END(tag)                                                                              \
    }                                                                                              \
    ;
#include "config/options.def"

#define CONFIG_SHARE_PARTS 10000
#define CONFIG_WORKERS_MAX 64

/* How many of many: a share, or a rate (count per period); neither = no limit. */
struct config_allowance {
    uint32_t share; /* in CONFIG_SHARE_PARTS, less than all of them; 0 = it is no share */
    uint64_t count; /* 0 = it is no rate */
    usec_t per;
};

/* Where to listen: a numeric address of IPv4 or IPv6. */
struct config_address {
    char host[46]; /* "": nowhere */
    uint16_t port;
};

enum config_start { START_EARLIEST, START_LATEST, START_TIME };

/* One entry of kafka.properties; values are texts whatever the file has (true, 5, ...). */
struct config_property {
    char *name;
    char *value;
    struct position pos; /* of the name */
    struct position value_pos;
};

struct config_properties {
    struct config_property *items; /* in the file's order, names unique */
    size_t count;
};

struct config_topic {
    char *name; /* exact name, or a regular expression with its leading ^ */
    bool is_regex;
    struct position pos;
};

struct config_topics {
    struct config_topic *items; /* at least one */
    size_t count;
};

/* A path or a constant; the other one is NULL. */
struct config_value {
    char *path; /* not parsed here: row/mapping does that */
    char *constant;
    struct position pos;
};

struct config_column {
    char *column;                /* exact */
    struct config_value *values; /* the first that the record has counts */
    size_t value_count;          /* at least one, or */
    char *sql;                   /* an expression that PostgreSQL computes; else NULL */
    bool is_list;                /* written as coalesce */
    enum config_unit unit;
    enum config_parse parse;
    struct position pos; /* of the column's name */
    struct position unit_pos;
    struct position parse_pos;
    struct position sql_pos;
};

struct config_columns {
    struct config_column *items; /* in the file's order, columns unique */
    size_t count;
};

/* Names, exact. */
struct config_key {
    char **items;
    struct position *places;
    size_t count;
};

/* The C type of each kind of option in options.def. */
#define CONFIG_TYPE_U32 uint32_t
#define CONFIG_TYPE_SIZE uint64_t
#define CONFIG_TYPE_DURATION usec_t
#define CONFIG_TYPE_BOOL bool
#define CONFIG_TYPE_TEXT char *
#define CONFIG_TYPE_START enum config_start
#define CONFIG_TYPE_ALLOWANCE struct config_allowance
#define CONFIG_TYPE_WORD(tag) enum tag
#define CONFIG_TYPE_ZONE int32_t /* seconds east of UTC */
#define CONFIG_TYPE_PROPERTIES struct config_properties
#define CONFIG_TYPE_TOPICS struct config_topics
#define CONFIG_TYPE_TABLE struct table_name
#define CONFIG_TYPE_KEY struct config_key
#define CONFIG_TYPE_COLUMNS struct config_columns

#define CONFIG_FIELD(name, kind)                                                                   \
    CONFIG_TYPE_##kind name;                                                                       \
    struct position name##_pos;

/* A route's name is never empty: where the file has none, it is what table_name_print() makes of
 * the table. */
struct config_route {
    struct position pos;
#define ROUTE_OPTION(name, kind, def, min, max, flags, sample, help) CONFIG_FIELD(name, kind)
#include "config/options.def"
};

struct config_source; /* private to config/, see source.h */

struct config {
    char *path; /* of the file, as given to config_load */
#define SECTION_BEGIN(section, help) struct {
#define SECTION_END(section)                                                                       \
    struct position pos; /* of the section; {0, 0} when the file has none */                       \
    }                                                                                              \
    section;
#define ROOT_OPTION(name, kind, def, min, max, flags, sample, help) CONFIG_FIELD(name, kind)
#define OPTION(section, name, kind, def, min, max, flags, sample, help) CONFIG_FIELD(name, kind)
#define EXTRA(section, type, name) type name;
#include "config/options.def"
    struct config_route *routes; /* at least one, in the file's order */
    size_t route_count;
    struct config_source *source; /* owned; how expanded values were written, for config_print */
};

/* What is wrong with one file, in the order in which it is found. */
#define CONFIG_FAULTS_MAX 20
struct config_faults {
    struct error items[CONFIG_FAULTS_MAX]; /* the first ones */
    size_t count;                          /* of all, so it may be more */
};

/* Returns false. */
bool config_faults_add(struct config_faults *faults, const struct error *err);

/* What a file is read for. */
enum config_purpose {
    CONFIG_TO_RUN,
    /* ${...} that cannot be read is no error: where secrets are not, such as in CI. Such a value is
     * not checked (config_lacks), and there is nothing to run. */
    CONFIG_WITHOUT_SECRETS,
    CONFIG_FOR_PROPOSAL, /* it may have no routes, because they are what is looked for */
};

/*
 * Reads and checks the file, to run it or for another purpose. NULL on failure: ERROR_SETUP, text
 * "file:line:column: ...", often with a hint; the first fault, or all that are not the consequence
 * of another. Reads files, and so may block.
 */
struct config *config_load(const char *path, struct error *err) _must_;
struct config *config_load_for(const char *path, enum config_purpose purpose,
                               struct error *err) _must_;
struct config *config_load_all(const char *path, enum config_purpose purpose,
                               struct config_faults *out) _must_;
bool config_is_without_secrets(const struct config *cfg);

/* What a word of another program, such as a property of the Java client, is here: a sentence; NULL:
 * the word is not known. */
const char *config_foreign_hint(const char *word) _pure_;

/* Was the value at that place expanded, so that it must not be printed? */
bool config_is_expanded(const struct config *cfg, struct position pos);

/* Does ${...}, which could not be read, stand in the value at that place? */
bool config_lacks(const struct config *cfg, struct position pos);

struct config *config_free(struct config *cfg); /* NULL is fine; returns NULL */

/* The property of that name, borrowed from the list; NULL: the file has none. */
const struct config_property *config_property_of(const struct config_properties *list,
                                                 const char *name) _pure_;

/* The property that names the SASL mechanism, which has two names; NULL: none, so GSSAPI. */
const struct config_property *config_sasl_mechanism(const struct config *cfg) _pure_;

/* How many worker threads to run: workers, or for 0 one per CPU that the process may use, at
 * most 8. */
uint32_t config_workers(const struct config *cfg);

/* How many connections to PostgreSQL the process has at most: one for each worker, and two of the
 * scout's for moments. */
uint32_t config_connections(const struct config *cfg);

/* exactly_once keeps its positions in PostgreSQL; the other modes in the Kafka group. */
bool config_has_ledger(const struct config *cfg);

/* Is anything kept in postgres.schema: positions, or dead letters? */
bool config_needs_schema(const struct config *cfg);

/* Is there a schema registry? */
bool config_has_registry(const struct config *cfg);

/* The format, as users write it, if values (keys) are read with the schema that they were written
 * with; else NULL. */
const char *config_value_schema(const struct config_route *route);
const char *config_key_schema(const struct config_route *route);

/* The lock timeout in force: at most half of postgres.timeout. */
usec_t config_lock_timeout(const struct config *cfg);

/*
 * Appends the effective configuration as YAML, every option included. Secrets are printed as ***, a
 * value that holds ${...} as it was written; all else reads back as the same configuration.
 */
void config_print(const struct config *cfg, struct buf *out);

/* kafka.start as it is written in a file. */
void config_print_start(const struct config *cfg, struct buf *out);

/*
 * Append postgres.dsn, or postgres.password, as it is now: ${...} in it is expanded again, since a
 * password may have been changed after the file was loaded. ERROR_SETUP when a variable or a file
 * cannot be read now; the error never contains the value.
 */
bool config_read_dsn(const struct config *cfg, struct buf *out, struct error *err) _must_;
bool config_read_password(const struct config *cfg, struct buf *out, struct error *err) _must_;

/* The same of any other text, at pos in the file. */
bool config_read_text(const struct config *cfg, const char *value, struct position pos,
                      struct buf *out, struct error *err) _must_;

/* What a change needs before it can be in force. */
enum config_need {
    NEED_NOTHING,
    NEED_RESTART, /* a reload cannot change it */
    NEED_ADDRESS, /* http.listen: an address on which we can listen */
    NEED_SCHEMA,  /* on_error: the first dead letters of a sink that has no schema of ours yet */
    NEED_HISTORY, /* audit, turned on: rights on history */
};

/* What has changed from one configuration to another: a line for each, secrets masked. */
struct config_change {
    char *text; /* "routes[public.orders].mode: append -> upsert" */
    enum config_need need;
};
struct config_changes {
    struct config_change *items;
    size_t count;
    size_t cap;
};
void config_changes_free(struct config_changes *changes);

/* Do both routes make the same rows of the same topics, and treat bad records alike? */
bool config_route_is_same(const struct config_route *a, const struct config_route *b);

/* The route of cfg that is the same as this one of another configuration; NULL: none is. */
const struct config_route *config_same_route(const struct config *cfg,
                                             const struct config_route *route);

/*
 * cfg, as it was loaded, becomes what can be in force after `running`: what needs a restart is
 * taken over from there, has no place in the file any more, and decides the defaults that depend on
 * it. False (ERROR_SETUP): what is taken over and what is new contradict each other; *out is empty
 * then.
 */
bool config_reload(struct config *cfg, const struct config *running, struct config_changes *out,
                   struct error *err) _must_;

/* Takes over from `running` what has that need, too: NEED_ADDRESS, NEED_SCHEMA or NEED_HISTORY. */
void config_give_up(struct config *cfg, const struct config *running, enum config_need need);

/*
 * Fills err (ERROR_SETUP) with "file:line:column: text" and returns false. For a position that is
 * not in the file the text starts with "file: ".
 */
bool config_error_at(const struct config *cfg, struct position pos, struct error *err,
                     const char *fmt, ...) _printf_(4, 5);

/* Puts "file:line:column: " before an error's text that another room has set; class and hint stay.
 * Returns false. */
bool config_error_locate(const struct config *cfg, struct position pos, struct error *err);

/* Appends "file:line:column", or "file" for a position that is not in the file. */
void config_position_text(const struct config *cfg, struct position pos, struct buf *out);

/* docs/options.md and conf/pgsinkd.yaml.example, printed from options.def. */
void options_doc_markdown(struct buf *out);
void options_doc_example(struct buf *out);

#define _cleanup_config_ _cleanup_(config_freep)
static inline void config_freep(struct config **cfg)
{
    *cfg = config_free(*cfg);
}

#endif
