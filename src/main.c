/*
 * pgsinkd: Kafka topics into PostgreSQL tables, each record exactly once.
 *
 * A tour of the rooms, in order of flow, each with its front door. The list in a room's meson.build
 * says what each of its files is for; docs/ARCHITECTURE.md has the law of the rooms, the threads,
 * the protocol and the invariants. Short of time: mail.h, worker_settle.c, pg/txn.c.
 *
 * command/       one thin file per verb                            command/command.h
 * config/        the file becomes one immutable struct config      config/config.h
 * sink/          the corridor: decides, counts, logs
 *     app        start, main's loop, stop                          sink/app/app.h
 *     plan       what is to be done, made before workers run       sink/plan/plan.h
 *     crew       main's view of partitions                         sink/crew/crew.h
 *     schemas    which schema a record was written with            sink/schemas/registrar.h
 *     worker     one worker's thread                               sink/worker/worker.h
 *     scout      the thread that may block                         sink/scout/scout.h
 *     watch      what people see, what --until-end waits for       sink/watch/progress.h
 *     shared     what crosses threads                              sink/shared/mail.h
 * kafka/         the window to the source                          kafka/client.h, kafka/feed.h
 * row/           the workshop: records into encoded rows; pure     row/message.h
 *     record     one record through one route                      row/record/record.h
 *     envelope   what surrounds a row: change events               row/envelope/debezium.h
 *     mapping    which value goes into which column                row/mapping/mapping.h
 *     format     bytes into cells, one file per format             row/format/format.h
 *     encode     a cell into a column's bytes                      row/encode/encode.h
 *     schema     what a value means beyond its text                row/schema/logical.h
 *     evolve     what a table lacks, given a schema                row/evolve/new_table.h
 *     json       one document, strictly read                       row/json/document.h
 *     path       the language of users: paths, conditions          row/path/path.h
 *     cell       one value on its way                              row/cell/cell.h
 *     text       what characters say                               row/text/decimal.h
 *     table      the target                                        row/table/table.h
 *     batch      what one transaction stores                       row/batch/batch.h
 * pg/            the window to the target                          pg/txn.h, pg/ledger.h
 * registry/      the window to a schema registry                   registry/registry.h
 * host/          the window to the operator                        host/notify.h
 * base/          words without a domain                            base/error.h, base/mailbox.h
 */
#include "base/mem.h"
#include "command/command.h"
#include "command/instance.h"
#include "command/sample.h"
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
    unsigned least_words;
    unsigned most_words;
    enum exit_code (*run)(const struct command_args *args);
};

static const char DEAD_LETTERS_MORE[] =
    "  list     one line for each: place, route, SQLSTATE, column, message, time, attempts\n"
    "  show     everything about each, including the record's bytes\n"
    "  replay   ask the daemon to put them through their routes again;\n"
    "           --wait: return when it has\n"
    "  discard  delete them; --yes to delete all of the sink\n"
    "which ones: a place, also as list writes it (orders-0@17); --route NAME, --topic NAME,\n"
    "  --partition N, --offset N,\n"
    "  --sqlstate CODE (or its first characters), --since TIME, --until TIME, --limit N\n"
    "  TIME: 2026-11-29T06:00:00Z, yesterday, or a duration before now such as 90m\n"
    "list, show: --json prints one JSON object per line\n";

static const char RUN_MORE[] =
    "  --until-end         store what the topics of the file hold now, then stop: 0 only if every\n"
    "                      partition was read to its end; else 1, or 5 where a topic does not\n"
    "                      exist, with a line for each topic that says why\n"
    "  --timeout DURATION  with --until-end: give up after this time (30s, 10m, 2h)\n";

static const char CHECK_MORE[] =
    "  --sample N  also read the newest N records of each topic (100; 0: none) and print what\n"
    "              would become of them: 1 if a route would reject all records of a topic\n";

static const char CONFIG_MORE[] =
    "  --without-secrets  take ${...} that cannot be read for right, and print it as it is: for a\n"
    "                     place without secrets, such as CI\n";

static const char VERIFY_MORE[] =
    "  --content TOPIC  read the topic again, compare each record with its row, dead letter or\n"
    "                   gap: 1 if something is missing, doubled or different\n"
    "  --from N         ... from this offset on, in each partition\n"
    "  --to N           ... and below this one; never beyond what is stored\n"
    "  --json           print one JSON object per line\n"
    "0 if every partition is proven, else 1: offsets were left out, or there is no history of it\n"
    "(audit: true)\n";

static const char STATUS_MORE[] =
    "  --watch  again every 2 s, in place on a terminal; q or Ctrl-C ends it\n"
    "  --json   one JSON object, with all columns of the views\n"
    "Colours only on a terminal, and not with NO_COLOR.\n";

static const char SEEK_MORE[] =
    "       pgsinkd seek [TOPIC] --from-group GROUP -c FILE [--json]\n"
    "PLACE: an offset; earliest, latest or a time such as 2026-11-29T06:00:00Z, which a daemon\n"
    "  asks Kafka for within a second, or as soon as one runs\n"
    "  --from-group GROUP  where that consumer group of Kafka has committed offsets; partitions\n"
    "                      that have never been read begin there\n"
    "Going back stores the same records once more.\n";

static const char RESET_MORE[] =
    "It begins again where kafka.start says, and what is stored already is stored once more.\n"
    "  --yes  that is meant\n";

static const char PAUSE_MORE[] =
    "Without a topic the whole sink. It lasts until resume, also for what appears later.\n";

static const char RESUME_MORE[] =
    "Without a topic all of the sink. Skips nothing: what cannot be stored then stands again.\n";

static const char TRY_MORE[] =
    "Prints the record as Kafka has it, the value of each column in each row, what PostgreSQL\n"
    "says of these values, and the SQL. Nothing is written, no group is joined.\n"
    "OFFSET: an offset; earliest; latest (the default); -5 is the fifth from the end\n"
    "Without a partition the newest record of the topic.\n"
    "  --json  one JSON object, with all bytes of the record\n"
    "0 if it would be stored or makes no row, 1 if a route would reject it\n";

static const char PROPOSE_MORE[] =
    "Prints a CREATE TABLE, with the reason for each type and how many of the records have the\n"
    "field, and a route. The file needs no routes. Nothing is executed.\n"
    "  --records N  read the newest N records (1000)\n";

static const struct verb VERBS[] = {
    {"run", "run -c FILE [--until-end [--timeout DURATION]]",
     "run the daemon; --until-end: store what is there now, then stop", RUN_MORE, "cuT", 0, 0,
     command_run},
    {"check", "check -c FILE [--sample N]",
     "check all that can be checked without writing, and print the plan", CHECK_MORE, "cN", 0, 0,
     command_check},
    {"try", "try TOPIC[:PARTITION][@OFFSET] -c FILE [--json]",
     "show one record, and what its routes would make of it", TRY_MORE, "cJ", 1, 1, command_try},
    {"propose", "propose TOPIC -c FILE [--records N]",
     "propose a table and a route for a topic of JSON", PROPOSE_MORE, "cR", 1, 1, command_propose},
    {"config", "config -c FILE [--without-secrets]",
     "check the file alone and print the effective configuration", CONFIG_MORE, "cS", 0, 0,
     command_config},
    {"init", "init -c FILE [--print]",
     "create or upgrade the schema; --print writes the SQL to stdout", NULL, "cp", 0, 0,
     command_init},
    {"dead-letters", "dead-letters WORD [TOPIC[:PARTITION][@OFFSET]] -c FILE ...",
     "list, show, replay or discard what could not be stored", DEAD_LETTERS_MORE, "crtnosablJWY", 1,
     2, command_dead_letters},
    {"status", "status -c FILE [--json] [--watch]",
     "how the sink is: daemons, what stands and why, topics by lag", STATUS_MORE, "cJH", 0, 0,
     command_status},
    {"offsets", "offsets [TOPIC[:PARTITION]] -c FILE [--json]", "how far each partition is", NULL,
     "cJ", 0, 1, command_offsets},
    {"seek", "seek TOPIC[:PARTITION] PLACE -c FILE [--json]", "let partitions continue elsewhere",
     SEEK_MORE, "cGJ", 0, 2, command_seek},
    {"reset", "reset TOPIC -c FILE --yes [--json]", "forget where a topic stands: it begins again",
     RESET_MORE, "cYJ", 1, 1, command_reset},
    {"pause", "pause [TOPIC[:PARTITION]] -c FILE [--json]",
     "store nothing more of the sink, a topic or a partition", PAUSE_MORE, "cJ", 0, 1,
     command_pause},
    {"resume", "resume [TOPIC[:PARTITION]] -c FILE [--json]",
     "end a pause, and try again what stands", RESUME_MORE, "cJ", 0, 1, command_resume},
    {"verify", "verify -c FILE [--content TOPIC [--from N] [--to N]] [--json]",
     "prove from history, or from the records, that nothing was left out", VERIFY_MORE, "cJCFE", 0,
     0, command_verify},
    {"version", "version", "print the versions of the program and its libraries", NULL, "", 0, 0,
     command_version},
};

static void usage(FILE *out)
{
    fprintf(out, "usage: pgsinkd COMMAND -c FILE ...\n\n");
    for (size_t i = 0; i < ARRAY_LEN(VERBS); i++) {
        fprintf(out, "  %-30s %s\n", VERBS[i].synopsis, VERBS[i].summary);
    }
    fprintf(out, "\n-c FILE is also --config FILE; pgsinkd --version (-V) is pgsinkd version.\n"
                 "More: pgsinkd help COMMAND, man pgsinkd; of the file: man pgsinkd.yaml\n");
    fprintf(out, "\nexit codes: 0 ok, 1 fault at run time, 2 usage, 3 configuration file, "
                 "4 target, 5 source, 6 put out by another process\n");
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

static enum exit_code unknown_command(const char *word)
{
    const char *names[ARRAY_LEN(VERBS)];

    for (size_t i = 0; i < ARRAY_LEN(VERBS); i++) {
        names[i] = VERBS[i].name;
    }
    const char *near = str_nearest(word, names, ARRAY_LEN(names));
    fprintf(stderr, "pgsinkd: unknown %s '%s'\n", *word == '-' ? "option" : "command", word);
    if (near != NULL) {
        fprintf(stderr, "HINT: Did you mean '%s'?\n", near);
    } else {
        usage(stderr);
    }
    return EXIT_USAGE;
}

static bool wants_config(const struct verb *verb)
{
    return *verb->options == 'c';
}

/* Every option of every verb, by the letter that getopt returns; only c and h may be written so. */
static const struct option OPTIONS[] = {
    {"config", required_argument, NULL, 'c'},
    {"help", no_argument, NULL, 'h'},
    {"until-end", no_argument, NULL, 'u'},
    {"timeout", required_argument, NULL, 'T'},
    {"print", no_argument, NULL, 'p'},
    {"without-secrets", no_argument, NULL, 'S'},
    {"route", required_argument, NULL, 'r'},
    {"topic", required_argument, NULL, 't'},
    {"partition", required_argument, NULL, 'n'},
    {"offset", required_argument, NULL, 'o'},
    {"sqlstate", required_argument, NULL, 's'},
    {"since", required_argument, NULL, 'a'},
    {"until", required_argument, NULL, 'b'},
    {"limit", required_argument, NULL, 'l'},
    {"sample", required_argument, NULL, 'N'},
    {"records", required_argument, NULL, 'R'},
    {"content", required_argument, NULL, 'C'},
    {"from", required_argument, NULL, 'F'},
    {"to", required_argument, NULL, 'E'},
    {"json", no_argument, NULL, 'J'},
    {"wait", no_argument, NULL, 'W'},
    {"yes", no_argument, NULL, 'Y'},
    {"watch", no_argument, NULL, 'H'},
    {"from-group", required_argument, NULL, 'G'},
    {NULL, 0, NULL, 0},
};

static const char TERM_LETTERS[] = "rtnosabl"; /* in the order of enum letters_term */

/* False: not a duration, or zero. */
static bool take_timeout(const char *text, struct command_args *args)
{
    bool ok = units_duration(str_of(text), &args->run.timeout_usec) == UNITS_OK &&
              args->run.timeout_usec > 0;

    if (!ok) {
        fprintf(stderr, "pgsinkd: --timeout: '%s' is not a duration such as 30s or 10m\n", text);
    }
    return ok;
}

/* False: not a number, or too large. */
static bool take_sample(const char *text, struct command_args *args)
{
    bool ok = str_to_u64(str_of(text), &args->sample) && args->sample <= SAMPLE_RECORDS_MAX;

    if (!ok) {
        fprintf(stderr, "pgsinkd: --sample: '%s' is not a number from 0 to %d\n", text,
                SAMPLE_RECORDS_MAX);
    }
    return ok;
}

/* The same, but at least one. */
static bool take_records(const char *text, struct command_args *args)
{
    bool ok = str_to_u64(str_of(text), &args->records) && args->records > 0 &&
              args->records <= SAMPLE_RECORDS_MAX;

    if (!ok) {
        fprintf(stderr, "pgsinkd: --records: '%s' is not a number from 1 to %d\n", text,
                SAMPLE_RECORDS_MAX);
    }
    return ok;
}

/* False: not an offset. */
static bool take_place(const char *option, const char *text, int64_t *out)
{
    bool ok = str_to_i64(str_of(text), out) && *out >= 0;

    if (!ok) {
        fprintf(stderr, "pgsinkd: --%s: '%s' is not an offset\n", option, text);
    }
    return ok;
}

/* False: it is not the first. */
static bool take_file(const char **out_file)
{
    if (*out_file != NULL) {
        fprintf(stderr, "pgsinkd: -c is there twice: '%s' and '%s'\n", *out_file, optarg);
        return false;
    }
    *out_file = optarg;
    return true;
}

static bool take_option(int letter, struct command_args *args, const char **out_file)
{
    const char *term = strchr(TERM_LETTERS, letter);

    if (term != NULL) {
        args->terms[term - TERM_LETTERS] = optarg;
    } else if (letter == 'c') {
        return take_file(out_file);
    } else if (letter == 'G') {
        args->from_group = optarg;
    } else if (letter == 'T') {
        return take_timeout(optarg, args);
    } else if (letter == 'N') {
        return take_sample(optarg, args);
    } else if (letter == 'R') {
        return take_records(optarg, args);
    } else if (letter == 'F') {
        return take_place("from", optarg, &args->from);
    } else if (letter == 'E') {
        return take_place("to", optarg, &args->to);
    } else if (letter == 'C') {
        args->content = optarg;
    }
    args->run.until_end |= letter == 'u';
    args->print |= letter == 'p';
    args->without_secrets |= letter == 'S';
    args->json |= letter == 'J';
    args->wait |= letter == 'W';
    args->yes |= letter == 'Y';
    args->watch |= letter == 'H';
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

/* ---- what is wrong with a command line ---- */

/* An option that no verb has, or this one has not; getopt has said the former. */
static void bad_option(const struct verb *verb, int letter, const char *word)
{
    const char *names[ARRAY_LEN(OPTIONS)];
    const char *given = NULL;
    size_t n = 0;

    for (size_t i = 0; OPTIONS[i].name != NULL; i++) {
        if (strchr(verb->options, OPTIONS[i].val) != NULL) {
            names[n++] = OPTIONS[i].name;
        }
        given = OPTIONS[i].val == letter ? OPTIONS[i].name : given;
    }
    if (given != NULL) {
        fprintf(stderr, "pgsinkd %s: there is no option '--%s' here\n", verb->name, given);
    }
    bool is_long = letter == '?' && word != NULL && strncmp(word, "--", 2) == 0;
    const char *near = is_long ? str_nearest(word + 2, names, n) : NULL;
    if (near != NULL) {
        fprintf(stderr, "HINT: Did you mean '--%s'?\n", near);
    }
}

static bool is_yaml(const char *word)
{
    size_t n = strlen(word);

    return (n > 5 && strcmp(word + n - 5, ".yaml") == 0) ||
           (n > 4 && strcmp(word + n - 4, ".yml") == 0);
}

/* A file among the words, which may be there without its -c. */
static const char *find_file(int argc, char **argv)
{
    for (int i = optind; i < argc; i++) {
        if (is_yaml(argv[i])) {
            return argv[i];
        }
    }
    return NULL;
}

static bool file_missing(const struct verb *verb, int argc, char **argv)
{
    const char *word = find_file(argc, argv);

    fprintf(stderr, "pgsinkd %s: -c FILE is missing\n", verb->name);
    if (word != NULL) {
        fprintf(stderr, "HINT: Did you mean '-c %s'?\n", word);
    }
    return false;
}

static bool check_words(const struct verb *verb, unsigned words, char **argv)
{
    if (words < verb->least_words) {
        fprintf(stderr, "pgsinkd %s: a word is missing\n", verb->name);
        return false;
    }
    if (words > verb->most_words) {
        fprintf(stderr, "pgsinkd %s: '%s' is one word too many\n", verb->name,
                argv[optind + (int) verb->most_words]);
        return false;
    }
    return true;
}

enum parsed { PARSED_OK, PARSED_BAD, PARSED_HELP };

/* PARSED_BAD: it has been said what is wrong. */
static enum parsed parse_options(const struct verb *verb, int argc, char **argv,
                                 struct command_args *args, const char **out_file)
{
    int letter;

    while ((letter = getopt_long(argc, argv, "c:h", OPTIONS, NULL)) != -1) {
        if (letter == 'h') {
            return PARSED_HELP;
        }
        if (letter == '?' || strchr(verb->options, letter) == NULL) {
            bad_option(verb, letter, argv[optind - 1]);
            return PARSED_BAD;
        }
        if (!take_option(letter, args, out_file)) {
            return PARSED_BAD;
        }
    }
    unsigned words = (unsigned) (argc - optind);
    bool ok = *out_file != NULL || !wants_config(verb) || file_missing(verb, argc, argv);
    if (!ok || !check_words(verb, words, argv) || !fits_together(args)) {
        return PARSED_BAD;
    }
    for (unsigned i = 0; i < words; i++) {
        args->words[i] = argv[optind + (int) i];
    }
    return PARSED_OK;
}

static bool wants_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

static bool wants_version(const char *word)
{
    return strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0;
}

static enum config_purpose purpose_of(const struct verb *verb, const struct command_args *args)
{
    if (verb->run == command_propose) {
        return CONFIG_FOR_PROPOSAL;
    }
    return args->without_secrets ? CONFIG_WITHOUT_SECRETS : CONFIG_TO_RUN;
}

static enum exit_code run_verb(const struct verb *verb, int argc, char **argv)
{
    struct command_args args = {
        .sample = SAMPLE_RECORDS, .records = PROPOSE_RECORDS, .from = -1, .to = -1};
    const char *file = NULL;

    enum parsed parsed = parse_options(verb, argc, argv, &args, &file);
    if (parsed != PARSED_OK) {
        verb_usage(verb, parsed == PARSED_HELP ? stdout : stderr);
        return parsed == PARSED_HELP ? EXIT_OK : EXIT_USAGE;
    }
    if (!wants_config(verb)) {
        return verb->run(&args);
    }
    _cleanup_mem_ struct config_faults *faults = mem_zalloc(sizeof *faults);
    _cleanup_buf_ struct buf name = {0};
    const char *path = instance_file(file, &name);
    _cleanup_config_ struct config *cfg = config_load_all(path, purpose_of(verb, &args), faults);
    if (cfg == NULL) {
        (void) instance_hint(file, &faults->items[0]);
        command_faults(faults);
        return EXIT_CONFIG;
    }
    args.cfg = cfg;
    return verb->run(&args);
}

static enum exit_code help(const char *word)
{
    const struct verb *verb = word != NULL ? find_verb(word) : NULL;

    if (word != NULL && verb == NULL) {
        return unknown_command(word);
    }
    if (verb != NULL) {
        verb_usage(verb, stdout);
    } else {
        usage(stdout);
    }
    return EXIT_OK;
}

static enum exit_code run(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (wants_help(argv[1])) {
        return help(argv[2]);
    }
    if (wants_version(argv[1])) {
        return command_version(&(struct command_args){0});
    }
    const struct verb *verb = find_verb(argv[1]);
    if (verb == NULL) {
        return unknown_command(argv[1]);
    }
    if (argc == 3 && wants_help(argv[2])) {
        return help(argv[1]);
    }
    return run_verb(verb, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    return (int) run(argc, argv);
}
