/*
 * What fills one column, while a mapping is made: the paths and constants of its entry are added
 * one by one, each checked against the column's type, and make one fill. Main thread.
 */
#ifndef ROW_MAPPING_RECIPE_H
#define ROW_MAPPING_RECIPE_H

#include "base/buf.h"
#include "row/mapping/mapping_state.h"
#include "row/path/path.h"

struct recipe {
    const struct column *column;
    enum time_unit unit;
    struct place *places; /* where its values are, in order */
    size_t count;
    size_t cap;
    bool may_lack;     /* so far, a record may lack each of them */
    bool counts;       /* one of them may be a number that a unit applies to */
    bool parses;       /* the string that was found holds the document that is meant */
    struct buf text;   /* "value.a, 'x'" */
    struct buf fields; /* the same without roots */
};

/* The unit is the route's where the column has a date or time type. */
void recipe_init(struct recipe *r, const struct mapping *m, const struct column *c);
void recipe_done(struct recipe *r);

/* ERROR_SETUP: the route does not have it, or it never fits the type. */
bool recipe_add_path(struct mapping *m, struct recipe *r, const struct path *path,
                     struct error *err) _must_;

/* A path or a constant, which is encoded once: a wrong one is found before any record is. */
bool recipe_add_value(struct mapping *m, struct recipe *r, const struct mapping_value *v,
                      struct error *err) _must_;

/* A unit that was declared for this column must apply to one of its values. ERROR_SETUP. */
bool recipe_check_unit(const struct recipe *r, struct error *err) _must_;

/* The fill that it makes; of several values the first one counts that is there and not null. */
void recipe_fill(struct mapping *m, const struct recipe *r, struct fill *out);

/* In words: how the values of the column go. The caller's to free. */
char *recipe_encoding(const struct recipe *r) _must_;

#endif
