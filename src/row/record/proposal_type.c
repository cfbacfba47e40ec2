/* Which column a field of records is to become, and why. Any thread. */
#include "base/ascii.h"
#include "row/record/proposal.h"

#include <inttypes.h>
#include <string.h>

/* From 2001 to 2100, in seconds. */
#define RECENT_LEAST INT64_C(978307200)
#define RECENT_MOST INT64_C(4133980800)

static bool ends_with_word(const char *name, const char *word)
{
    size_t n = strlen(name);
    size_t w = strlen(word);

    if (n < w) {
        return false;
    }
    const char *tail = name + n - w;
    for (size_t i = 0; i < w; i++) {
        if (ascii_lower(tail[i]) != word[i]) {
            return false;
        }
    }
    /* "at" ends created_at and createdAt, but not "format". */
    return n == w || tail[-1] == '_' || tail[-1] == '-' || (tail[0] >= 'A' && tail[0] <= 'Z');
}

static bool is_called_a_time(const char *name)
{
    static const char *const words[] = {
        "at", "ts",     "time",    "timestamp", "date",     "ms",      "millis",
        "us", "micros", "created", "updated",   "modified", "deleted",
    };

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (ends_with_word(name, words[i])) {
            return true;
        }
    }
    return false;
}

/* What the numbers count if they are points in time of this century; UNIT_NONE: they are not. */
static enum time_unit unit_of(const struct proposal_field *f)
{
    static const struct {
        enum time_unit unit;
        int64_t per_second;
    } units[] = {{UNIT_S, 1}, {UNIT_MS, 1000}, {UNIT_US, 1000000}, {UNIT_NS, 1000000000}};

    for (size_t i = 0; !f->is_huge && i < ARRAY_LEN(units); i++) {
        if (f->least >= RECENT_LEAST * units[i].per_second &&
            f->most <= RECENT_MOST * units[i].per_second) {
            return units[i].unit;
        }
    }
    return UNIT_NONE;
}

static const char *unit_words(enum time_unit unit)
{
    static const char *const words[] = {
        [UNIT_S] = "seconds",
        [UNIT_MS] = "milliseconds",
        [UNIT_US] = "microseconds",
        [UNIT_NS] = "nanoseconds",
    };

    return words[unit];
}

static void type_of_wholes(const struct proposal_field *f, struct proposed_type *out,
                           struct buf *why)
{
    enum time_unit unit = unit_of(f);

    if (f->is_huge) {
        out->type = "numeric";
        buf_add_z(why, "whole numbers beyond 64 bits");
        return;
    }
    buf_printf(why, "whole numbers, %" PRId64 " to %" PRId64, f->least, f->most);
    out->type = "bigint";
    if (unit != UNIT_NONE && is_called_a_time(f->name)) {
        out->type = "timestamptz";
        out->unit = unit;
        buf_printf(why, ": %s since 1970, by the name", unit_words(unit));
    } else if (unit != UNIT_NONE) {
        buf_printf(why, ", perhaps %s since 1970", unit_words(unit));
    }
}

static void type_of_numbers(const struct proposal_field *f, struct proposed_type *out,
                            struct buf *why)
{
    if (f->floats > 0) {
        out->type = "double precision";
        buf_add_z(why, "numbers, some with an exponent");
    } else if (f->fractions > 0) {
        out->type = "numeric";
        buf_add_z(why, f->wholes > 0 ? "numbers, some with a fraction" : "numbers with a fraction");
    } else {
        type_of_wholes(f, out, why);
    }
}

static void type_of_texts(const struct proposal_field *f, struct proposed_type *out,
                          struct buf *why)
{
    static const struct {
        unsigned form;
        const char *type;
        const char *what;
    } forms[] = {
        {FORM_TIMESTAMPTZ, "timestamptz", "texts: times with their zone"},
        {FORM_TIMESTAMP, "timestamp", "texts: times without a zone"},
        {FORM_DATE, "date", "texts: dates"},
        {FORM_TIME, "time", "texts: times of day"},
        {FORM_UUID, "uuid", "texts: UUIDs"},
        {FORM_DOCUMENT, "jsonb", "texts that are JSON documents"},
    };

    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if ((f->forms & forms[i].form) != 0) {
            out->type = forms[i].type;
            out->parses = forms[i].form == FORM_DOCUMENT;
            buf_add_z(why, forms[i].what);
            return;
        }
    }
    out->type = "text";
    buf_printf(why, "texts of at most %zu character%s", f->longest, f->longest == 1 ? "" : "s");
    if ((f->forms & FORM_NUMBER) != 0) {
        buf_add_z(why, ", all numbers: numeric, unless they are codes");
    }
}

static void type_of_arrays(const struct proposal_field *f, struct proposed_type *out,
                           struct buf *why)
{
    static const struct {
        unsigned elements;
        const char *type;
        const char *what;
    } arrays[] = {
        {HOLDS_WHOLES, "bigint[]", "arrays of whole numbers"},
        {HOLDS_NUMBERS, "numeric[]", "arrays of numbers"},
        {HOLDS_WHOLES | HOLDS_NUMBERS, "numeric[]", "arrays of numbers"},
        {HOLDS_TEXTS, "text[]", "arrays of texts"},
        {HOLDS_TRUTHS, "boolean[]", "arrays of booleans"},
    };

    for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
        if (f->elements == arrays[i].elements) {
            out->type = arrays[i].type;
            buf_add_z(why, arrays[i].what);
            return;
        }
    }
    out->type = "jsonb";
    buf_add_z(why, f->elements == 0 ? "empty arrays" : "arrays of objects, or of several kinds");
}

/* "12 texts, 3 numbers" */
static void say_kinds(const struct proposal_field *f, struct buf *why)
{
    const struct {
        size_t n;
        const char *what;
    } kinds[] = {
        {f->truths, "booleans"}, {f->wholes + f->fractions + f->floats, "numbers"},
        {f->texts, "texts"},     {f->objects, "objects"},
        {f->arrays, "arrays"},
    };
    const char *comma = "";

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (kinds[i].n > 0) {
            buf_printf(why, "%s%zu %s", comma, kinds[i].n, kinds[i].what);
            comma = ", ";
        }
    }
}

void proposal_type(const struct proposal_field *f, struct proposed_type *out, struct buf *why)
{
    size_t numbers = f->wholes + f->fractions + f->floats;
    size_t values = f->present - f->nulls;

    *out = (struct proposed_type){.type = "text", .unit = UNIT_NONE};
    if (values == 0) {
        buf_add_z(why, "null in all records");
    } else if (numbers == values) {
        type_of_numbers(f, out, why);
    } else if (f->texts == values) {
        type_of_texts(f, out, why);
    } else if (f->truths == values) {
        out->type = "boolean";
        buf_add_z(why, "true or false");
    } else if (f->arrays == values) {
        type_of_arrays(f, out, why);
    } else if (f->objects == values) {
        out->type = "jsonb";
        buf_add_z(why, "objects");
    } else {
        out->type = f->objects + f->arrays > 0 ? "jsonb" : "text";
        say_kinds(f, why);
    }
}
