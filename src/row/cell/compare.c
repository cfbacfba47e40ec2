/* The order of cells. The common case, two short numbers of the same scale, reads no digits. Any
 * thread. */
#include "row/cell/compare.h"

#include "row/text/decimal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* A CELL_INT as text. */
struct printed {
    char text[24];
};

static enum cell_order order_of(int difference)
{
    if (difference == 0) {
        return CELL_EQUAL;
    }
    return difference < 0 ? CELL_LESS : CELL_GREATER;
}

static enum cell_order compare_ints(int64_t a, int64_t b)
{
    return order_of((a > b) - (a < b));
}

static bool is_number(const struct cell *c)
{
    return c->kind == CELL_INT || c->kind == CELL_NUMBER;
}

/* The number that a cell is, or that its bytes spell. */
static bool take_decimal(const struct cell *c, struct printed *printed, struct decimal *out)
{
    struct str text = c->text;

    if (c->kind == CELL_INT) {
        int n = snprintf(printed->text, sizeof printed->text, "%" PRId64, c->number);
        text = (struct str){.p = printed->text, .n = (size_t) n};
    }
    return decimal_scan(text, out);
}

static enum cell_order compare_numbers(const struct cell *a, const struct cell *b)
{
    struct printed texts[2];
    struct decimal x;
    struct decimal y;

    if (cell_is_whole(a) && cell_is_whole(b)) {
        return compare_ints(a->number, b->number);
    }
    if (cell_is_short(a) && cell_is_short(b) && a->scale == b->scale) {
        return compare_ints(a->number, b->number);
    }
    if (!take_decimal(a, &texts[0], &x) || !take_decimal(b, &texts[1], &y)) {
        return CELL_UNLIKE;
    }
    return order_of(decimal_compare(&x, &y));
}

/* Bytes are a boolean only as one of these two words. */
static bool take_truth(const struct cell *c, bool *out)
{
    *out = c->kind == CELL_BOOL ? c->truth : str_eq_z(c->text, "true");
    return c->kind == CELL_BOOL || *out || str_eq_z(c->text, "false");
}

static enum cell_order compare_truths(const struct cell *a, const struct cell *b)
{
    bool x;
    bool y;

    if (!take_truth(a, &x) || !take_truth(b, &y)) {
        return CELL_UNLIKE;
    }
    return x == y ? CELL_EQUAL : CELL_OTHER;
}

/* Are both of this sort? Bytes can be of any. */
static bool are(const struct cell *a, const struct cell *b, bool a_is, bool b_is)
{
    return (a_is && (b_is || b->kind == CELL_BYTES)) || (b_is && a->kind == CELL_BYTES);
}

enum cell_order compare_cells(const struct cell *a, const struct cell *b)
{
    assert(a->kind > CELL_NULL && b->kind > CELL_NULL);
    if (are(a, b, is_number(a), is_number(b))) {
        return compare_numbers(a, b);
    }
    if (are(a, b, a->kind == CELL_BOOL, b->kind == CELL_BOOL)) {
        return compare_truths(a, b);
    }
    if (are(a, b, a->kind == CELL_STRING, b->kind == CELL_STRING) ||
        (a->kind == CELL_BYTES && b->kind == CELL_BYTES)) {
        return order_of(str_cmp(a->text, b->text));
    }
    return CELL_UNLIKE;
}

bool compare_number(struct str text, struct cell *out)
{
    struct decimal d;

    if (!decimal_scan(text, &d)) {
        return false;
    }
    *out = (struct cell){.kind = CELL_NUMBER, .text = text};
    if (d.exponent == 0 && d.whole.n + d.frac.n <= CELL_SHORT_DIGITS) {
        out->is_short = decimal_to_i64(&d, (int) d.frac.n, &out->number) == DECIMAL_OK &&
                        !(out->number == 0 && d.negative);
        out->scale = (uint8_t) d.frac.n;
    }
    return true;
}
