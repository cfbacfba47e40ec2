/* Digits in ASCII, eight characters at a time; single ones are in base/ascii.h. Any thread. */
#ifndef ROW_TEXT_ASCII_H
#define ROW_TEXT_ASCII_H

#include "base/ascii.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read in memory order");

/* The first of the eight is in the lowest bits. */

#define ASCII_ONES UINT64_C(0x0101010101010101)
#define ASCII_HIGHS UINT64_C(0x8080808080808080)

static inline uint64_t ascii_word(const char *p)
{
    uint64_t word;

    __builtin_memcpy(&word, p, sizeof word);
    return word;
}

/* How many digits the word begins with; each byte is a character ^ '0'. */
static inline unsigned ascii_digit_run(uint64_t word)
{
    /* Only a byte that is not a digit carries, and that disturbs only the bytes after it. */
    uint64_t other = ((word + ASCII_ONES * 0x76) | word) & ASCII_HIGHS;

    return other == 0 ? 8 : (unsigned) __builtin_ctzll(other) >> 3;
}

/* The number that the first n bytes of the word say, each from 0 to 9. 1 <= n <= 8. */
static inline uint64_t ascii_digit_value(uint64_t word, unsigned n)
{
    const uint64_t pair = UINT64_C(0x000000FF000000FF);

    word <<= 64 - 8 * n; /* zeros in front */
    word = word * 10 + (word >> 8);
    return ((word & pair) * UINT64_C(0x000F424000000064) +
            ((word >> 16) & pair) * UINT64_C(0x0000271000000001)) >>
           32;
}

/* Eight hexadecimal digits as four bytes; false when they are not. */
static inline bool ascii_hex_bytes(uint64_t word, uint8_t *to)
{
    const uint64_t most = ASCII_ONES * 0x7F;    /* no carries: only words without high bits count */
    uint64_t digit = word ^ (ASCII_ONES * '0'); /* 0 to 9 */
    uint64_t letter = (word | (ASCII_ONES * 0x20)) ^ (ASCII_ONES * 0x60); /* 1 to 6 */
    uint64_t is_digit = ~(digit + (most - ASCII_ONES * 9));
    uint64_t is_letter = (letter + most) & ~(letter + (most - ASCII_ONES * 6));

    if ((word & ASCII_HIGHS) != 0 || (~(is_digit | is_letter) & ASCII_HIGHS) != 0) {
        return false;
    }
    uint64_t value = (word & (ASCII_ONES * 0x0F)) + ((word >> 6) & ASCII_ONES) * 9;
    value = (value << 4 | value >> 8) & UINT64_C(0x00FF00FF00FF00FF);
    value = (value | value >> 8) & UINT64_C(0x0000FFFF0000FFFF);
    uint32_t bytes = (uint32_t) (value | value >> 16);
    __builtin_memcpy(to, &bytes, sizeof bytes);
    return true;
}

/*
 * The end of the digits at p; eight bytes after it must be readable. *value is multiplied by ten
 * for each digit, modulo 2^64.
 */
static inline const char *ascii_digits(const char *p, uint64_t *value)
{
    static const uint32_t powers[] = {1,      10,      100,      1000,     10000,
                                      100000, 1000000, 10000000, 100000000};
    unsigned n;

    do {
        uint64_t word = ascii_word(p) ^ (ASCII_ONES * '0');
        n = ascii_digit_run(word);
        if (n > 0) {
            *value = *value * powers[n] + ascii_digit_value(word, n);
        }
        p += n;
    } while (n == 8);
    return p;
}

#endif
