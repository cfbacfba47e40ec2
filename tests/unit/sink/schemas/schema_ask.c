/*
 * Asks a registry as the registrar does, for tests/integration/test_registry.py. Reads the paths of
 * a configuration and refs from its arguments, one answer a line: outcome, class, text, hint; of a
 * schema its type, its text and the names of its parts. One thread.
 */
#include "sink/schemas/schema_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct schema_ref ref_of(const char *kind, const char *value)
{
    struct schema_ref ref = {.kind = SCHEMA_REF_ID, .id = strtoll(value, NULL, 10)};

    if (strcmp(kind, "globalId") == 0) {
        ref.kind = SCHEMA_REF_GLOBAL;
    } else if (strcmp(kind, "contentId") == 0) {
        ref.kind = SCHEMA_REF_CONTENT;
    } else if (strcmp(kind, "guid") == 0) {
        ref = (struct schema_ref){.kind = SCHEMA_REF_GUID};
        for (size_t i = 0; i < 16; i++) {
            char two[3] = {value[2 * i], value[2 * i + 1], 0};
            ref.guid[i] = (uint8_t) strtoul(two, NULL, 16);
        }
    }
    return ref;
}

static void print(enum registry_outcome outcome, const struct schema_text *t, bool encrypted,
                  const struct error *err)
{
    static const char *const names[] = {
        [REGISTRY_FOUND] = "found",
        [REGISTRY_ABSENT] = "absent",
        [REGISTRY_UNUSABLE] = "unusable",
        [REGISTRY_AWAY] = "away",
    };

    if (outcome != REGISTRY_FOUND) {
        printf("%s\t%s\t%s\t%s\n", names[outcome], error_class_name(err->class), err->text,
               err->hint);
        return;
    }
    printf("found\t%s\t%s\t%s", t->type, encrypted ? "encrypted" : "plain", t->text);
    for (size_t i = 0; i < t->part_count; i++) {
        printf("\t%s", t->parts[i].name);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    struct error err = {.class = ERROR_NONE};
    struct config *cfg = argc < 2 ? NULL : config_load(argv[1], &err);

    if (cfg == NULL) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    struct schema_source *s = schema_source_new(cfg, -1);
    for (int i = 2; i + 1 < argc; i += 2) {
        struct schema_text t = {0};
        bool encrypted = false;
        struct schema_ref ref = ref_of(argv[i], argv[i + 1]);
        enum registry_outcome outcome = strcmp(argv[i], "latest") == 0
                                            ? schema_source_latest(s, argv[i + 1], &t, &err)
                                            : schema_source_fetch(s, &ref, &t, &encrypted, &err);
        print(outcome, &t, encrypted, &err);
        schema_text_done(&t);
    }
    schema_source_free(s);
    config_free(cfg);
    return 0;
}
