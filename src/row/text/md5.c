/* RFC 1321, section 3. Any thread. */
#include "row/text/md5.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 64, ROUNDS = 64, LENGTH_BYTES = 8 };

struct state {
    uint32_t a, b, c, d;
};

static uint32_t rotate(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static uint32_t mix(const struct state *s, unsigned i)
{
    switch (i / 16) {
    case 0:
        return (s->b & s->c) | (~s->b & s->d);
    case 1:
        return (s->d & s->b) | (~s->d & s->c);
    case 2:
        return s->b ^ s->c ^ s->d;
    default:
        return s->c ^ (s->b | ~s->d);
    }
}

static void add_block(struct state *sum, const uint8_t *block)
{
    static const uint8_t shifts[4][4] = {
        {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    static const uint8_t step[4] = {1, 5, 3, 7};
    static const uint8_t first[4] = {0, 1, 5, 0};
    struct state s = *sum;

    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned round = i / 16;
        uint32_t word;
        memcpy(&word, block + 4 * ((step[round] * i + first[round]) % 16), sizeof word);
        uint32_t constant = (uint32_t) (int64_t) floor(fabs(sin(i + 1)) * 4294967296.0);
        uint32_t turned = rotate(s.a + mix(&s, i) + constant + word, shifts[round][i % 4]);
        s = (struct state){.a = s.d, .b = s.b + turned, .c = s.b, .d = s.c};
    }
    sum->a += s.a;
    sum->b += s.b;
    sum->c += s.c;
    sum->d += s.d;
}

void md5(struct str text, uint8_t out[MD5_BYTES])
{
    struct state sum = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    uint8_t tail[2 * BLOCK] = {0};
    size_t whole = text.n / BLOCK * BLOCK;
    size_t rest = text.n - whole;
    size_t padded = rest + 1 + LENGTH_BYTES > BLOCK ? 2 * BLOCK : BLOCK;
    uint64_t bits = 8 * (uint64_t) text.n;

    for (size_t i = 0; i < whole; i += BLOCK) {
        add_block(&sum, (const uint8_t *) text.p + i);
    }
    memcpy(tail, text.p + whole, rest);
    tail[rest] = 0x80;
    memcpy(tail + padded - LENGTH_BYTES, &bits, sizeof bits);
    for (size_t i = 0; i < padded; i += BLOCK) {
        add_block(&sum, tail + i);
    }
    memcpy(out, &sum, MD5_BYTES);
}
