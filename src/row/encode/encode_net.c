/*
 * inet, cidr, macaddr, macaddr8: inet_send ... macaddr8_send.
 *
 * Narrower than PostgreSQL: no abbreviated networks (10.1/16), two digits for every byte of a
 * hardware address. Pure; any thread.
 */
#include "row/encode/encode_types.h"
#include "row/text/ascii.h"

#include <arpa/inet.h>
#include <string.h>

/* The text of a string; false: it is not a string, and err is filled. */
static bool string_of(const struct encoding *v, struct str *out)
{
    *out = v->cell->text;
    return v->cell->kind == CELL_STRING || v->cell->kind == CELL_BYTES || encoding_misfit(v);
}

/* ---- inet, cidr ---- */

enum { INET_FAMILY_4 = 2, INET_FAMILY_6 = 3, INET_HEAD_BYTES = 4, INET_TEXT_MAX = 64 };

struct address {
    uint8_t bytes[16];
    unsigned n;
    unsigned bits;
};

/* /bits, which ends the text; or none. */
static bool take_bits(const char *slash, unsigned most, unsigned *out)
{
    int64_t bits;

    *out = most;
    if (slash == NULL) {
        return true;
    }
    if (!ascii_is_digit(slash[1]) || !str_to_i64(str_of(slash + 1), &bits) || bits > most) {
        return false;
    }
    *out = (unsigned) bits;
    return true;
}

static bool address_parse(struct str s, struct address *out)
{
    char text[INET_TEXT_MAX];

    if (s.n >= sizeof text || memchr(s.p, 0, s.n) != NULL) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    char *slash = strchr(text, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    bool four = strchr(text, ':') == NULL;
    out->n = four ? 4 : 16;
    return inet_pton(four ? AF_INET : AF_INET6, text, out->bytes) == 1 &&
           take_bits(slash, out->n * 8, &out->bits);
}

/* Are all bits after those of the network zero? */
static bool is_network(const struct address *a)
{
    for (unsigned bit = a->bits; bit < a->n * 8; bit++) {
        if ((a->bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) {
            return false;
        }
    }
    return true;
}

bool encode_inet(const struct encoding *v)
{
    struct str s;
    struct address a;
    bool cidr = v->column->type == TYPE_CIDR;

    if (!string_of(v, &s)) {
        return false;
    }
    if (s.n == 0 || !address_parse(s, &a)) {
        return encoding_misfit(v);
    }
    if (cidr && !is_network(&a)) {
        return cell_fault(v->cell, v->err, "has bits set to the right of the mask");
    }
    buf_add_u32(v->out, INET_HEAD_BYTES + a.n);
    buf_add_u8(v->out, a.n == 4 ? INET_FAMILY_4 : INET_FAMILY_6);
    buf_add_u8(v->out, (uint8_t) a.bits);
    buf_add_u8(v->out, cidr ? 1 : 0);
    buf_add_u8(v->out, (uint8_t) a.n);
    buf_add(v->out, a.bytes, a.n);
    return true;
}

/* ---- macaddr, macaddr8 ---- */

enum { MAC_BYTES = 6, MAC8_BYTES = 8 };

/* Does macaddr_in take this separator between groups of that many bytes? */
static bool mac_group_fits(char separator, size_t bytes)
{
    switch (separator) {
    case ':':
        return bytes == 1 || bytes == 3;
    case '-':
        return bytes >= 1 && bytes <= 3;
    case '.':
        return bytes == 2;
    default:
        return true;
    }
}

/*
 * Pairs of hexadecimal digits, with one kind of separator (: - .) at equal distances, or none.
 * Returns the number of bytes; 0: it is not a hardware address.
 */
static size_t mac_parse(struct str s, uint8_t *to)
{
    size_t n = 0;
    size_t group = 0; /* bytes between separators; 0 = not known yet */
    size_t since = 0;
    char separator = '\0';

    for (size_t i = 0; i < s.n;) {
        bool is_separator = s.p[i] == ':' || s.p[i] == '-' || s.p[i] == '.';
        if (is_separator) {
            group = group == 0 ? since : group;
            if (since != group || since == 0 || (separator && separator != s.p[i])) {
                return 0;
            }
            separator = s.p[i++];
            since = 0;
            continue;
        }
        int high = ascii_hex(s.p[i]);
        int low = i + 1 < s.n ? ascii_hex(s.p[i + 1]) : -1;
        if (high < 0 || low < 0 || n == MAC8_BYTES) {
            return 0;
        }
        to[n++] = (uint8_t) (high * 16 + low);
        since++;
        i += 2;
    }
    return mac_group_fits(separator, group) && (group == 0 || since == group) ? n : 0;
}

/* macaddr8_in: six bytes are eight with ff:fe in the middle. */
static void mac_widen(uint8_t *bytes)
{
    memmove(bytes + 5, bytes + 3, 3);
    bytes[3] = 0xFF;
    bytes[4] = 0xFE;
}

bool encode_macaddr(const struct encoding *v)
{
    struct str s;
    uint8_t bytes[MAC8_BYTES];
    bool wide = v->column->type == TYPE_MACADDR8;

    if (!string_of(v, &s)) {
        return false;
    }
    size_t n = mac_parse(str_trim(s), bytes);
    if (n != MAC_BYTES && !(wide && n == MAC8_BYTES)) {
        return encoding_misfit(v);
    }
    if (wide && n == MAC_BYTES) {
        mac_widen(bytes);
        n = MAC8_BYTES;
    }
    buf_add_u32(v->out, (uint32_t) n);
    buf_add(v->out, bytes, n);
    return true;
}
