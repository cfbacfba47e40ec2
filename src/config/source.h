/*
 * How values were written in the file, where that differs from what they are: the text before
 * ${...} was expanded, found by the position of the value. config_print needs it, because what a
 * reference brings in may be a secret and must not be printed; the file's own words then stand in
 * its place. config_read_again needs it for values that change while the process runs.
 *
 * struct config owns it: config_load makes it and fills it while it reads, config_free frees it,
 * and nobody changes it in between. Private to config/. Main thread while loading; any thread
 * afterwards.
 */
#ifndef CONFIG_SOURCE_H
#define CONFIG_SOURCE_H

#include "base/str.h"
#include "config/position.h"

struct source_text {
    struct position pos;
    char *text;
    bool lacks; /* a reference in it could not be read */
};

struct config_source {
    struct source_text *items;
    size_t count;
    size_t cap;
    char *dir;            /* of the file: where a relative ${file:PATH} is */
    bool without_secrets; /* references that cannot be read are left out */
    bool without_routes;  /* there may be none */
};

/* Keeps a copy of the text that stands at pos. */
void source_add(struct config_source *s, struct position pos, struct str text, bool lacks);

/* The text as the file has it when the value at pos was expanded, else NULL. It belongs to s, which
 * is NULL for a configuration without a file. */
const char *source_find(const struct config_source *s, struct position pos);

/* Could a reference in the value at pos not be read? */
bool source_lacks(const struct config_source *s, struct position pos);

void source_done(struct config_source *s);

#endif
