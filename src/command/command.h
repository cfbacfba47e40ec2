/*
 * The verbs of the command line. Each is one thin file over sink/, pg/ and kafka/; main.c parses
 * the arguments, loads the configuration for those that want it, and calls them. Faults go to
 * stderr, one line each and a HINT line where a person must act; results go to stdout. Main thread.
 */
#ifndef COMMAND_COMMAND_H
#define COMMAND_COMMAND_H

#include "config/config.h"
#include "pg/conn.h"
#include "pg/letters.h"
#include "sink/app/app.h"
#include "sink/exit.h"

enum { COMMAND_WORDS_MAX = 2 };

#define PROPOSE_RECORDS 1000 /* without --records */

struct command_args {
    const struct config *cfg;             /* NULL for verbs that need none */
    struct app_options run;               /* run --until-end --timeout */
    bool print;                           /* init --print */
    bool without_secrets;                 /* config --without-secrets */
    uint64_t sample;                      /* check --sample: records of each topic; 0: none */
    uint64_t records;                     /* propose --records */
    const char *words[COMMAND_WORDS_MAX]; /* what stands beside the options; NULL = not there */
    const char *from_group;               /* seek --from-group */
    bool watch;                           /* status --watch */
    const char *terms[LETTERS_TERMS];
    bool json;
    bool wait;
    const char *content; /* verify --content: the topic; NULL: history */
    int64_t from;        /* ... from this offset on; -1: from the first */
    int64_t to;          /* ... and below this; -1: as far as the ledger is */
    bool yes;
};

enum exit_code command_run(const struct command_args *args);
enum exit_code command_check(const struct command_args *args);
enum exit_code command_config(const struct command_args *args);
enum exit_code command_init(const struct command_args *args);
enum exit_code command_dead_letters(const struct command_args *args);
enum exit_code command_verify(const struct command_args *args);
enum exit_code command_status(const struct command_args *args);
enum exit_code command_offsets(const struct command_args *args);
enum exit_code command_seek(const struct command_args *args);
enum exit_code command_reset(const struct command_args *args);
enum exit_code command_pause(const struct command_args *args);
enum exit_code command_resume(const struct command_args *args);
enum exit_code command_try(const struct command_args *args);
enum exit_code command_propose(const struct command_args *args);
enum exit_code command_version(const struct command_args *args);

/* Prints a fault to stderr: its text, then its hint. */
void command_fault(const struct error *err);

/* The same of each fault of a file, and how many more there are. */
void command_faults(const struct config_faults *faults);

/*
 * What config_load leaves to others: paths and conditions, librdkafka's properties, the DSN's
 * syntax. Without a server. False: something is wrong, which is printed with its place in the file.
 */
bool command_check_file(const struct config *cfg) _must_;

/* The topics that the routes of the file name, but for regular expressions, for a suggestion; with
 * room for `more` after them. The caller frees the array, not the names. */
const char **command_topic_names(const struct config *cfg, size_t more, size_t *out_n);

/*
 * Does the schema have what this program knows of it? Not schema_ensure: commands need fewer rights
 * than the daemon. ERROR_SETUP, and the connection's errors.
 */
bool command_check_schema(struct conn *c, const char *schema, struct error *err) _must_;

#endif
