/*
 * pgsinkd: Kafka topics into PostgreSQL tables, each record exactly once.
 *
 * A tour, in order of flow. docs/ARCHITECTURE.md has the law of the rooms, the threads and the
 * invariants.
 *
 * TOUR
 */
#include "command/command.h"
#include "config/config.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct verb {
    const char *name;
    const char *synopsis;
    const char *summary;
    bool wants_config;
    enum exit_code (*run)(const struct command_args *args);
};

static const struct verb VERBS[] = {
    {"run", "run -c FILE [--until-end]",
     "the daemon; --until-end stores what is there now, then stops", true, command_run},
    {"check", "check -c FILE", "everything that can be checked without writing, and the plan", true,
     command_check},
    {"config", "config -c FILE", "check the file alone and print the effective configuration", true,
     command_config},
    {"init", "init -c FILE [--print]",
     "create or upgrade the schema; --print writes the SQL to stdout", true, command_init},
    {"version", "version", "versions of the program and its libraries", false, command_version},
};

static void usage(FILE *out)
{
    fprintf(out, "usage: pgsinkd COMMAND\n\n");
    for (size_t i = 0; i < ARRAY_LEN(VERBS); i++) {
        fprintf(out, "  %-28s %s\n", VERBS[i].synopsis, VERBS[i].summary);
    }
    fprintf(out, "\nexit codes: 0 ok, 1 fault at run time, 2 usage, 3 configuration file, "
                 "4 target, 5 source\n");
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

/* Options of a verb: -c FILE, and the flag that it has. False: said on stderr what is wrong. */
static bool parse_options(const struct verb *verb, int argc, char **argv, struct command_args *args,
                          const char **out_file)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"until-end", no_argument, NULL, 'u'},
        {"print", no_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        bool known = (option == 'c' && verb->wants_config) ||
                     (option == 'u' && verb->run == command_run) ||
                     (option == 'p' && verb->run == command_init);
        if (!known) {
            return false;
        }
        if (option == 'c') {
            *out_file = optarg;
        }
        args->until_end |= option == 'u';
        args->print |= option == 'p';
    }
    return optind == argc && (*out_file != NULL) == verb->wants_config;
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
        fprintf(stderr, "usage: pgsinkd %s\n", verb->synopsis);
        return EXIT_USAGE;
    }
    if (!verb->wants_config) {
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

int main(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (wants_help(argv[1]) || (argc == 3 && wants_help(argv[2]))) {
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
    return run_verb(verb, argc - 1, argv + 1);
}
