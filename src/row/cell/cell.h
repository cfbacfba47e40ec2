/*
 * One value read from a record, before it is encoded. Everything is borrowed: from the message, or
 * from the scratch memory of the decoder that read it, until its next read. Plain data; any thread.
 */
#ifndef ROW_CELL_CELL_H
#define ROW_CELL_CELL_H

#include "base/error.h"
#include "base/str.h"
#include "row/cell/rules.h"

#define CELL_SHORT_DIGITS 18

enum cell_kind {
    CELL_ABSENT, /* the record does not have it */
    CELL_NULL,   /* it is there and null */
    CELL_BOOL,
    CELL_INT,    /* a whole number that was not read from text: any int64 */
    CELL_NUMBER, /* a JSON number: text is exactly what the document says */
    CELL_STRING, /* a JSON string or a name: text is UTF-8, escapes resolved; it may hold U+0000 */
    CELL_JSON,   /* a JSON object, array or whole document: text as in the document, checked */
    CELL_BYTES,  /* unchecked bytes: a key, a header, a raw value */
};

struct cell {
    enum cell_kind kind;
    bool truth;              /* CELL_BOOL */
    bool is_short;           /* CELL_NUMBER: it is number / 10^scale, exactly, and not -0 */
    uint8_t scale;           /* ... the digits after its point */
    enum time_unit unit : 8; /* CELL_INT: what it counts, if its source says that; else UNIT_NONE */
    int64_t number;          /* CELL_INT, CELL_NUMBER if is_short: then CELL_SHORT_DIGITS at most */
    struct str text;
    /* CELL_STRING from a document, and CELL_BYTES that were one: with its quotes and escapes; else
     * absent */
    struct str raw;
};

/* Has the value of a JSON number been worked out? */
static inline bool cell_is_short(const struct cell *c)
{
    return c->kind == CELL_NUMBER && c->is_short;
}

/* Is it a whole number, and in c->number? */
static inline bool cell_is_whole(const struct cell *c)
{
    return c->kind == CELL_INT || (cell_is_short(c) && c->scale == 0);
}

/* Makes the cell a whole number; its texts stay as they are. */
static inline void cell_set_int(struct cell *c, int64_t number, enum time_unit unit)
{
    c->kind = CELL_INT;
    c->unit = unit;
    c->number = number;
}

/* Is it a JSON object, or a JSON array? No white space precedes the text of a CELL_JSON. */
static inline bool cell_is_object(const struct cell *c)
{
    return c->kind == CELL_JSON && *c->text.p == '{';
}

static inline bool cell_is_array(const struct cell *c)
{
    return c->kind == CELL_JSON && *c->text.p == '[';
}

/* A value as an error text shows it: quoted if it is text, shortened, with control characters
 * escaped. */
struct excerpt {
    char text[288];
};
const char *excerpt_cell(struct excerpt *x, const struct cell *c);
const char *excerpt_text(struct excerpt *x, struct str s); /* without quotes: names, numbers */

/* What a cell is, in words: "a string", "an object". */
const char *cell_kind_name(const struct cell *c);

/*
 * A fault of this value: "<value> <what>", class ERROR_RECORD, SQLSTATE 22P02. Returns false, as
 * error_set does.
 */
bool cell_fault(const struct cell *c, struct error *err, const char *fmt, ...) _printf_(3, 4);

#endif
