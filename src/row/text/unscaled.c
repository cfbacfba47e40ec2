/*
 * Up to eight bytes fit into an integer. Longer numbers are taken apart into limbs of nine
 * decimal digits, by multiplying and adding byte after byte: quadratic, which is 0.1 s for the
 * longest that numeric holds.
 */
#include "row/text/unscaled.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

#define LIMB UINT64_C(1000000000)
enum { LIMB_DIGITS = 9 };

/* The magnitude of a number of at most eight bytes. */
static uint64_t short_magnitude(const uint8_t *bytes, size_t n, bool negative)
{
    uint64_t value = negative ? UINT64_MAX : 0;

    for (size_t i = 0; i < n; i++) {
        value = value << 8 | bytes[i];
    }
    return negative ? 0 - value : value;
}

/* limbs, the lowest first, times 2^32 plus more. */
static void shift_in(uint32_t *limbs, size_t *count, uint32_t more)
{
    uint64_t carry = more;

    for (size_t i = 0; i < *count; i++) {
        carry += (uint64_t) limbs[i] << 32;
        limbs[i] = (uint32_t) (carry % LIMB);
        carry /= LIMB;
    }
    for (; carry > 0; carry /= LIMB) {
        limbs[(*count)++] = (uint32_t) (carry % LIMB);
    }
}

/* Four bytes of the magnitude, big-endian, that end before `end`; bytes before the
 * first are sign. The magnitude of a negative number: all bits inverted, and one added at the end.
 */
static uint32_t word_before(const uint8_t *bytes, size_t end, bool negative, unsigned *carry)
{
    uint32_t word = 0;

    for (size_t i = 0; i < 4; i++) {
        unsigned byte = i < end ? bytes[end - 1 - i] : (negative ? 0xFF : 0);
        if (negative) {
            byte = (~byte & 0xFF) + *carry;
            *carry = byte >> 8;
            byte &= 0xFF;
        }
        word |= (uint32_t) byte << (8 * i);
    }
    return word;
}

static void print_long(const uint8_t *bytes, size_t n, bool negative, struct buf *digits)
{
    size_t words = (n + 3) / 4;
    _cleanup_mem_ uint32_t *magnitude = mem_array(words, sizeof *magnitude);
    _cleanup_mem_ uint32_t *limbs = mem_array(words * 2 + 2, sizeof *limbs);
    size_t count = 0;
    unsigned carry = 1;

    for (size_t i = 0; i < words; i++) {
        size_t end = n > 4 * i ? n - 4 * i : 0;
        magnitude[i] = word_before(bytes, end, negative, &carry);
    }
    for (size_t i = words; i-- > 0;) {
        shift_in(limbs, &count, magnitude[i]);
    }
    buf_printf(digits, "%" PRIu32, count > 0 ? limbs[count - 1] : 0);
    for (size_t i = count; i-- > 1;) {
        buf_printf(digits, "%0*" PRIu32, LIMB_DIGITS, limbs[i - 1]);
    }
}

/* The digits with a point before the last `scale` of them. */
static void put_scaled(struct str digits, int32_t scale, struct buf *out)
{
    if (scale <= 0) {
        buf_add_str(out, digits);
        buf_fill(out, '0', str_eq_z(digits, "0") ? 0 : (size_t) - (int64_t) scale);
        return;
    }
    size_t places = (size_t) scale;
    size_t whole = digits.n > places ? digits.n - places : 0;
    buf_add(out, digits.p, whole);
    buf_add_z(out, whole == 0 ? "0." : ".");
    buf_fill(out, '0', places - (digits.n - whole));
    buf_add(out, digits.p + whole, digits.n - whole);
}

void unscaled_print(const uint8_t *bytes, size_t n, int32_t scale, struct buf *out)
{
    _cleanup_buf_ struct buf digits = {0};
    bool negative = n > 0 && (bytes[0] & 0x80) != 0;

    if (n <= 8) {
        buf_printf(&digits, "%" PRIu64, short_magnitude(bytes, n, negative));
    } else {
        print_long(bytes, n, negative, &digits);
    }
    if (negative) {
        buf_add_u8(out, '-');
    }
    put_scaled(buf_str(&digits), scale, out);
}
