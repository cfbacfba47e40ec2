/*
 * The template of a table's name that records fill in: text with paths in braces,
 * events_{value.type}. {topic} stands for {meta.topic}. Main thread.
 */
#ifndef ROW_MAPPING_TEMPLATE_H
#define ROW_MAPPING_TEMPLATE_H

#include "row/mapping/mapping_state.h"

/* Text as it stands, or a path. */
struct template_piece {
    struct str text; /* points into the template */
    char *path;      /* without its braces, the caller's to free; NULL: it is text */
};

/* Takes the next piece off the template; false at its end. */
bool template_next(const char **template, struct template_piece *out) _must_;

/*
 * Makes the fields that name the table known to a mapping, so that unknown_fields does not take
 * them. Before place_seal. Paths that do not parse are left to the chooser, which reports them.
 */
void template_mention(struct mapping *m, const char *template);

#endif
