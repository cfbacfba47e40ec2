/*
 * From the text of a schema, as a registry has it, to its shape: one row for each language. Pure;
 * any thread.
 */
#ifndef ROW_SCHEMA_COMPILE_H
#define ROW_SCHEMA_COMPILE_H

#include "base/error.h"
#include "base/str.h"
#include "row/schema/shape.h"

/* A text to which the schema refers, by the name that it uses for it. */
struct schema_part {
    struct str name;
    struct str text;
};

/*
 * refs: what the text refers to, and what that refers to, each before whatever needs it; the same
 * text may come twice. Neither text nor refs are needed afterwards. *out is sealed, and the
 * caller's to drop. ERROR_SETUP: it cannot be read, or this build does not read its language.
 */
bool schema_compile(enum schema_language language, struct str text, const struct schema_part *refs,
                    size_t ref_count, const struct schema **out, struct error *err) _must_;

#endif
