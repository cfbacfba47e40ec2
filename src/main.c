/*
 * pgsinkd: Kafka topics into PostgreSQL tables, each record exactly once.
 *
 * A tour, in order of flow. docs/ARCHITECTURE.md has the law of the rooms, the threads, the
 * protocol and the invariants. Short of time: sink/mail.h, worker_settle.c, pg/txn.c.
 *
 * command/: one thin file per verb
 *     command.h                    what the verbs share; exit codes are in sink/app.h
 *     common.c                     how a command says a fault; what it checks in the file
 *     run.c                        the daemon: logging, then sink/app.c
 *     check.c                      both servers, the tables, the plan; writes nothing
 *     config.c                     the file alone, then the effective configuration
 *     init.c                       the schema, now or as a script for psql
 *     dead_letters.c               dead letters: listed, shown, replayed, discarded
 *     letter_text.{c,h}            one of them as a line, in full, as JSON
 *     version.c                    the program's version and its libraries'
 *
 * config/: the file on disk becomes one immutable struct config
 *     config.{c,h}                 load: read, apply, check; errors name file, line, column
 *     options.def                  every option once
 *     option.{c,h}                 the table made of it
 *     refused.def                  librdkafka properties that would break the promise, with reasons
 *     file.{c,h}                   a small file as a whole
 *     position.{c,h}               a place in the file
 *     yaml_reader.{c,h}            libyaml's events into a tree of nodes
 *     load.h                       what the next four share while loading
 *     value.c                      one scalar or list into its field
 *     route.c                      one entry of routes:
 *     column.c                     its columns:
 *     check.c                      what concerns several options at once
 *     expand.{c,h}                 ${ENV}, ${file:...} in values
 *     units.{c,h}                  10MiB, 5s, booleans, choices: whole text or an error
 *     table_name.{c,h}             schema.table, quotes, {topic}, {value.type}
 *     mask.{c,h}                   secrets out of what is printed
 *     print.{c,h}                  the effective configuration as YAML
 *     options_doc.c                documentation and example file, from options.def
 *
 * sink/: the corridor, the only room that decides, counts and logs
 *     app.{c,h}                    start order, main's loop, stop order, exit code
 *     prepare.{c,h}                the database reached, schema and tables read, before workers
 *     entries.{c,h}                entries of topics, and which have been used before
 *     plan.{c,h}                   configuration and catalog into mappings per topic
 *     policy.{c,h}                 what becomes of records that cannot be stored
 *     crew.{c,h}                   main's view of partitions; reports of workers
 *     crew_state.h                 what the crew's files share
 *     crew_rebalance.c             what the group gives and takes
 *     crew_ask.c                   questions to the scout, what follows from the answers
 *     crew_first.c                 where partitions begin that the ledger does not know
 *     crew_verify.c                is it still the same log?
 *     crew_gap.c                   if not, or outside of it: where to go on
 *     crew_commit.c                which offsets are committed to the group, and when
 *     crew_member.c                a static member whose old assignment does not fit
 *     crew_unread.c                what nobody in the group reads
 *     unread.{c,h}                 ... since when, and what is to be said
 *     crew_fetch.c                 which partitions are fetched, and from where
 *     drain.{c,h}                  what --until-end has to read, and how far that is read
 *     drain_state.h                what its files share
 *     drain_report.c               what is said at its end, and the exit code
 *     replayer.{c,h}               when dead letters are tried again
 *     replay.{c,h}                 ... and how: a chunk of them in one transaction
 *     scout.{c,h}                  the one thread that may block
 *     mail.h                       orders, reports, and the exchange that starts a partition
 *     worker.{c,h}                 a worker's thread: loop, orders, reports
 *     worker_state.h               what the worker's files share
 *     worker_fill.c                records into the open batch
 *     worker_link.c                the connection: claim, gap, write, in this order
 *     worker_write.c               batches on their way over it
 *     worker_settle.c              what an answer of the database means for slots and batches
 *     worker_letters.c             records that cannot be stored, as dead letters
 *     worker_plan.c                when tables change while we run
 *     worker_group.c               positions in the group, where there is no ledger
 *     path.{c,h}                   COPY or unnest
 *     slot.{c,h}                   a worker's view of one partition
 *     quota.{c,h}                  so many dead letters in such a time
 *     index.{c,h}                  (topic, number) to slot or partition
 *     progress.{c,h}               rates, STATUS, the bar of --until-end
 *
 * kafka/: the window to the source
 *     client.{c,h}                 the one consumer: made, subscribed, told what to fetch, closed
 *     librdkafka.h                 the library's types, inside this room only
 *     events.{c,h}                 rebalances, errors, logs as plain structs, for main
 *     feed.{c,h}                   one queue of records per worker
 *     nudge.{c,h}                  wakes the library's threads, which oversleep
 *     rejoin.{c,h}                 when a member may be joining again, and must not commit
 *     group.{c,h}                  who in the group has what
 *     lookup.{c,h}                 blocking questions, for the scout
 *     probe.{c,h}                  ... and single records, read again by a consumer of its own
 *
 * row/: the workshop: from a record to encoded rows; pure
 *     message.h                    a record, borrowed
 *     identity.{c,h}               which log is it? fingerprints, ids, what they say together
 *     table.{c,h}                  a target table, and the part of it that is filled
 *     path.{c,h}                   value.a.b, key, headers.x, meta.offset
 *     mapping.{c,h}                paths onto columns, compiled once
 *     mapping_shape.c              explode and when of a mapping
 *     mapping_sql.c                expressions, and what they name
 *     chooser.{c,h}                which table a record names
 *     place.{c,h}                  where a mapping reads what it needs
 *     mapping_mode.c               key, version and mark, as the mode wants them
 *     mapping_rest.c               unknown_fields
 *     mapping_change.c             what a mapping of change events has beside columns
 *     fill.h                       the inside of a mapping
 *     fields.{c,h}                 the names that a mapping wants from a document, as a tree
 *     compare.{c,h}                the order of two cells
 *     condition.{c,h}              when:, compiled once, asked for each record
 *     condition_parse.c            its grammar
 *     condition_tree.h             its compiled form
 *     decode.{c,h}                 a record by its mapping: read, then write a row
 *     record.{c,h}                 which rows a record makes, and what is done with them
 *     decode_json.{c,h}            fields of documents into cells
 *     debezium.{c,h}               change events: the envelope, its schema part, what it lacks
 *     logical.{c,h}                values that are more than their JSON says: by schema, by column
 *     logical_apply.c              ... made into what the encoders take
 *     unscaled.{c,h}               decimals in two's complement
 *     decode_raw.{c,h}             keys, headers, the record's own numbers into cells
 *     decode_rest.{c,h}            fields that no column takes
 *     document.{c,h}               one JSON document, strictly read
 *     escape.{c,h}                 the escapes in its strings
 *     json.h  json.cc              simdjson's first stage behind a C face; the only C++
 *     cell.{c,h}                   one value on its way
 *     dead_letter.{c,h}            a record as a row of the table of dead letters
 *     encode.{c,h}                 a cell into COPY BINARY bytes, by type
 *     elements.{c,h}               a JSON array or object, one element after the other
 *     encode_types.h               the encoders of single types:
 *     encode_number.c              integers, floats, numeric
 *     encode_text.c                text, bytea, uuid, json, jsonb
 *     encode_time.c                date, time, timestamps, interval
 *     encode_net.c                 inet, cidr, hardware addresses
 *     encode_array.c               arrays, hstore
 *     base64.{c,h}                 bytes in JSON
 *     decimal.{c,h}                decimal text, exactly
 *     moment.{c,h}                 RFC 3339 and the calendar
 *     interval.{c,h}               spans of time
 *     ascii.h                      letters and digits, also eight at a time
 *     batch.{c,h}                  rows and spans of one transaction; cut, split, drop
 *     fold.{c,h}                   ... as it is sent: grouped, in the order of the keys
 *     outcome.{c,h}                what the rows of one key come to
 *     tuple.h                      the fields of an encoded row
 *
 * pg/: the window to the target
 *     conn.{c,h}                   one connection that never waits in libpq
 *     libpq.h                      what this room shares, with libpq's types
 *     dsn.{c,h}                    the hosts of a DSN
 *     txn.{c,h}                    a batch in one transaction: advance, rows, COMMIT
 *     txn_state.h                  what its files share
 *     txn_copy.c                   large batches: COPY
 *     txn_unnest.c                 small ones: arrays, in one round trip
 *     txn_each.c                   which rows of a batch are refused
 *     rows_sql.{c,h}               the SQL that stores rows of one shape
 *     statements.{c,h}             one for each shape, and what of it is prepared
 *     oids.h                       numbers of types
 *     ledger.{c,h}                 claim, evict, gap, ends, ids of logs
 *     topic_entries.{c,h}          entries of topics, their first use
 *     holders.{c,h}                who holds partitions, and where they stand
 *     letters.{c,h}                dead letters, for commands and replays
 *     members.{c,h}                what static members have subscribed to last
 *     catalog.{c,h}                target tables as the server knows them
 *     schema.{c,h}                 upgrade steps of the project's own schema
 *     steps.h                      sql/, embedded when the program is built
 *     sql.{c,h}                    literals and arrays
 *     sqlstate.{c,h}               SQLSTATE to error class: who can do something about it
 *     fault.c                      libpq's errors into struct error
 *
 * host/: the window to the operator
 *     signals.{c,h}                a descriptor for SIGTERM and SIGINT
 *     notify.{c,h}                 the service manager
 *
 * base/: words without a domain
 *     base.h                       attributes, ARRAY_LEN, TAKE_PTR
 *     error.{c,h}                  a fault: class, text, hint
 *     log.{c,h}                    lines on stderr
 *     mem.{c,h}                    allocation that cannot fail
 *     arena.{c,h}                  memory that goes all at once
 *     buf.{c,h}                    a growing byte buffer
 *     str.{c,h}                    views of text
 *     clock.{c,h}                  microseconds
 *     crc32c.{c,h}                 a checksum
 *     backoff.{c,h}                pauses between tries
 *     thread.{c,h}                 threads; whose thread is this
 *     mailbox.{c,h}                the one queue between threads
 *     failpoint.{c,h}              named places to crash or fail, for tests
 *     failpoint.def                their names
 */
#include "command/command.h"
#include "config/config.h"
#include "config/units.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct verb {
    const char *name;
    const char *synopsis;
    const char *summary;
    const char *more;    /* of its usage; NULL = nothing */
    const char *options; /* the letters of those it has, see OPTIONS */
    bool wants_word;
    enum exit_code (*run)(const struct command_args *args);
};

static const char DEAD_LETTERS_MORE[] =
    "  list     one line each: place, route, SQLSTATE, column, message, time, attempts\n"
    "  show     all about each, the record's bytes included\n"
    "  replay   ask the daemon to put them through their routes again;\n"
    "           --wait: until it has\n"
    "  discard  delete them for good; all of a sink need --yes\n"
    "which ones: --route NAME, --topic NAME, --partition N, --offset N,\n"
    "  --sqlstate CODE (or its first characters), --since TIME, --until TIME, --limit N\n"
    "list, show: --json prints one JSON object a line\n";

static const char RUN_MORE[] =
    "  --until-end         store what the topics of the file hold now, then stop: 0 only if every\n"
    "                      partition was read to its end; else 1, or 5 where a topic does not\n"
    "                      exist, with a line for each topic that says why\n"
    "  --timeout DURATION  with --until-end: give up after this time (30s, 10m, 2h)\n";

static const struct verb VERBS[] = {
    {"run", "run -c FILE [--until-end [--timeout DURATION]]",
     "the daemon; --until-end stores what is there now, then stops", RUN_MORE, "cuT", false,
     command_run},
    {"check", "check -c FILE", "everything that can be checked without writing, and the plan", NULL,
     "c", false, command_check},
    {"config", "config -c FILE", "check the file alone and print the effective configuration", NULL,
     "c", false, command_config},
    {"init", "init -c FILE [--print]",
     "create or upgrade the schema; --print writes the SQL to stdout", NULL, "cp", false,
     command_init},
    {"dead-letters", "dead-letters WORD -c FILE ...",
     "list, show, replay or discard what could not be stored", DEAD_LETTERS_MORE, "crtnosablJWY",
     true, command_dead_letters},
    {"version", "version", "versions of the program and its libraries", NULL, "", false,
     command_version},
};

static void usage(FILE *out)
{
    fprintf(out, "usage: pgsinkd COMMAND\n\n");
    for (size_t i = 0; i < ARRAY_LEN(VERBS); i++) {
        fprintf(out, "  %-30s %s\n", VERBS[i].synopsis, VERBS[i].summary);
    }
    fprintf(out, "\nexit codes: 0 ok, 1 fault at run time, 2 usage, 3 configuration file, "
                 "4 target, 5 source\n");
}

static void verb_usage(const struct verb *verb, FILE *out)
{
    fprintf(out, "usage: pgsinkd %s\n%s", verb->synopsis, verb->more != NULL ? verb->more : "");
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(VERBS); i++) {
        if (strcmp(VERBS[i].name, name) == 0) {
            return &VERBS[i];
        }
    }
    return NULL;
}

static enum exit_code bad_usage(const char *what, const char *word)
{
    fprintf(stderr, "pgsinkd: %s '%s'\n", what, word);
    usage(stderr);
    return EXIT_USAGE;
}

static bool wants_config(const struct verb *verb)
{
    return *verb->options == 'c';
}

/* Every option of every verb by its letter, which getopt returns; only c is short, too. */
static const struct option OPTIONS[] = {
    {"config", required_argument, NULL, 'c'},
    {"until-end", no_argument, NULL, 'u'},
    {"timeout", required_argument, NULL, 'T'},
    {"print", no_argument, NULL, 'p'},
    {"route", required_argument, NULL, 'r'},
    {"topic", required_argument, NULL, 't'},
    {"partition", required_argument, NULL, 'n'},
    {"offset", required_argument, NULL, 'o'},
    {"sqlstate", required_argument, NULL, 's'},
    {"since", required_argument, NULL, 'a'},
    {"until", required_argument, NULL, 'b'},
    {"limit", required_argument, NULL, 'l'},
    {"json", no_argument, NULL, 'J'},
    {"wait", no_argument, NULL, 'W'},
    {"yes", no_argument, NULL, 'Y'},
    {NULL, 0, NULL, 0},
};

static const char TERM_LETTERS[] = "rtnosabl"; /* in the order of enum letters_term */

/* False: not a duration, or one of nothing. */
static bool take_timeout(const char *text, struct command_args *args)
{
    bool ok = units_duration(str_of(text), &args->run.timeout_usec) == UNITS_OK &&
              args->run.timeout_usec > 0;
    if (!ok) {
        fprintf(stderr, "pgsinkd: --timeout: '%s' is not a duration such as 30s or 10m\n", text);
    }
    return ok;
}

static bool take_option(int letter, struct command_args *args, const char **out_file)
{
    const char *term = strchr(TERM_LETTERS, letter);

    if (term != NULL) {
        args->terms[term - TERM_LETTERS] = optarg;
    } else if (letter == 'c') {
        *out_file = optarg;
    } else if (letter == 'T') {
        return take_timeout(optarg, args);
    }
    args->run.until_end |= letter == 'u';
    args->print |= letter == 'p';
    args->json |= letter == 'J';
    args->wait |= letter == 'W';
    args->yes |= letter == 'Y';
    return true;
}

static bool fits_together(const struct command_args *args)
{
    if (args->run.timeout_usec > 0 && !args->run.until_end) {
        fprintf(stderr, "pgsinkd: --timeout is for --until-end only\n");
        return false;
    }
    return true;
}

/* False: the verb has no such option, wants a word more or less, or the file. */
static bool parse_options(const struct verb *verb, int argc, char **argv, struct command_args *args,
                          const char **out_file)
{
    int letter;
    while ((letter = getopt_long(argc, argv, "c:", OPTIONS, NULL)) != -1) {
        if (letter == '?' || strchr(verb->options, letter) == NULL ||
            !take_option(letter, args, out_file)) {
            return false;
        }
    }
    if (argc - optind != (verb->wants_word ? 1 : 0) || !fits_together(args)) {
        return false;
    }
    args->word = verb->wants_word ? argv[optind] : NULL;
    return (*out_file != NULL) == wants_config(verb);
}

static bool wants_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

static enum exit_code run_verb(const struct verb *verb, int argc, char **argv)
{
    struct command_args args = {0};
    const char *file = NULL;
    if (!parse_options(verb, argc, argv, &args, &file)) {
        verb_usage(verb, stderr);
        return EXIT_USAGE;
    }
    if (!wants_config(verb)) {
        return verb->run(&args);
    }
    struct error err;
    _cleanup_config_ struct config *cfg = config_load(file, &err);
    if (cfg == NULL) {
        command_fault(&err);
        return EXIT_CONFIG;
    }
    args.cfg = cfg;
    return verb->run(&args);
}

static enum exit_code run(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (wants_help(argv[1])) {
        usage(stdout);
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        return command_version(&(struct command_args){0});
    }
    const struct verb *verb = find_verb(argv[1]);
    if (verb == NULL) {
        return bad_usage("unknown command", argv[1]);
    }
    if (argc == 3 && wants_help(argv[2])) {
        verb_usage(verb, stdout);
        return EXIT_OK;
    }
    return run_verb(verb, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    return (int) run(argc, argv);
}
