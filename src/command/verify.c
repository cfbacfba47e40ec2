/*
 * pgsinkd verify: what the history of the sink proves, as verify() finds it; with --content
 * (content.h) what a topic proves that is read again. Main thread.
 */
#include "command/command.h"

#include "command/content.h"
#include "pg/history.h"
#include "sink/plan/prepare.h"

#include <stdio.h>
#include <string.h>

#define PROOF_TIMEOUT (3600 * USEC_PER_SEC) /* of one answer: history may be long */

struct verdict {
    size_t partitions;
    size_t proven;
    size_t unknown; /* without history */
};

/* A row about a partition as a whole; others are its findings. */
static bool is_summary(const struct finding *f)
{
    return strcmp(f->what, "proven") == 0 || strcmp(f->what, "not proven") == 0 ||
           strcmp(f->what, "no history") == 0;
}

static const char *or_dash(const char *text)
{
    return text != NULL ? text : "-";
}

static void print_finding(const struct finding *f)
{
    if (is_summary(f)) {
        printf("%s-%s: %s, offsets %s to %s: %s\n", f->topic, f->partition, f->what,
               or_dash(f->from_offset), or_dash(f->next_offset), f->detail);
    } else {
        printf("  %s, offsets %s to %s: %s\n", f->what, or_dash(f->from_offset),
               or_dash(f->next_offset), f->detail);
    }
}

static void count(struct verdict *v, const struct finding *f)
{
    if (is_summary(f)) {
        v->partitions++;
        v->proven += strcmp(f->what, "proven") == 0;
        v->unknown += strcmp(f->what, "no history") == 0;
    }
}

/* Says what was and what was not proven, so that nothing looks like a proof that is none. */
static void print_verdict(const struct config *cfg, const struct verdict *v)
{
    if (v->partitions == 0) {
        printf("sink '%s' has no partition yet: nothing is proven\n", cfg->sink);
        return;
    }
    printf("%zu of %zu partition%s proven", v->proven, v->partitions,
           v->partitions == 1 ? "" : "s");
    if (v->unknown > 0) {
        printf(", %zu without history", v->unknown);
    }
    printf("\n");
    if (v->unknown > 0 && !cfg->audit) {
        printf("HINT: With `audit: true` each transaction leaves a row of history; `verify "
               "--content` compares the rows themselves.\n");
    }
}

static enum exit_code verify_history(const struct command_args *args, struct conn *c)
{
    const char *schema = args->cfg->postgres.schema;
    struct verdict v = {0};
    struct error err;

    if (!conn_open_wait(c, -1, &err) || !command_check_schema(c, schema, &err)) {
        command_fault(&err);
        return EXIT_TARGET;
    }
    struct proof *proof = proof_read(c, schema, args->cfg->sink, &err);
    if (proof == NULL) {
        command_fault(&err);
        return EXIT_TARGET;
    }
    for (size_t i = 0; i < proof_count(proof); i++) {
        struct finding f = proof_finding(proof, i);
        count(&v, &f);
        if (args->json) {
            printf("%s\n", f.json);
        } else {
            print_finding(&f);
        }
    }
    proof_free(proof);
    if (!args->json) {
        print_verdict(args->cfg, &v);
    }
    return v.partitions > 0 && v.proven == v.partitions ? EXIT_OK : EXIT_FAULT;
}

enum exit_code command_verify(const struct command_args *args)
{
    struct conn_settings settings = prepare_conn_settings(args->cfg, "pgsinkd verify");

    if (args->content == NULL && (args->from >= 0 || args->to >= 0)) {
        fprintf(stderr, "pgsinkd verify: --from and --to are for --content\n");
        return EXIT_USAGE;
    }
    if (!config_has_ledger(args->cfg)) {
        fprintf(stderr, "pgsinkd verify: without a ledger there is nothing to verify (delivery "
                        "exactly_once keeps one)\n");
        return EXIT_CONFIG;
    }
    if (args->content != NULL) {
        return content_verify(args);
    }
    settings.timeout_usec = PROOF_TIMEOUT;
    struct conn *c = conn_new(&settings);
    enum exit_code code = verify_history(args, c);
    conn_free(c);
    return code;
}
