/*
 * text, varchar, bpchar, bytea, uuid, json, jsonb: textsend ... jsonb_send.
 *
 * Text columns take every JSON value: a string without its escapes, any other value as its exact
 * text in the document. PostgreSQL cannot store U+0000 in text: a fault, unless the policy removes
 * it. Pure; any thread.
 */
#include "row/encode/encode_types.h"
#include "row/json/escape.h"
#include "row/text/ascii.h"
#include "row/text/base64.h"
#include "row/text/decimal.h"
#include "row/text/hex.h"

#include <string.h>

enum { VARHDRSZ = 4 };

static bool put_bytes(const struct encoding *v, struct str s)
{
    uint8_t *to = buf_reserve(v->out, 4 + s.n);

    buf_put_u32(to, (uint32_t) s.n);
    if (s.n > 0) {
        memcpy(to + 4, s.p, s.n);
    }
    v->out->n += 4 + s.n;
    return true;
}

/* ---- text, varchar(n), char(n), enums ---- */

/* The number of bytes in the first `limit` characters of s, which is well-formed. */
static size_t bytes_of_chars(struct str s, size_t limit)
{
    size_t i = 0;

    while (i < s.n) {
        if (((uint8_t) s.p[i] & 0xC0) != 0x80 && limit-- == 0) {
            break;
        }
        i++;
    }
    return i;
}

/*
 * varchar_input and bpchar_input: at most n characters, more only if the excess is spaces, which
 * are cut. char(n) is padded by PostgreSQL when it reads the field (bpcharrecv), in COPY as in a
 * cast.
 */
static bool cut_to_typmod(const struct encoding *v, struct str *s, size_t chars)
{
    size_t limit = (size_t) (v->column->typmod - VARHDRSZ);

    if (chars <= limit) {
        return true;
    }
    size_t keep = bytes_of_chars(*s, limit);
    for (size_t i = keep; i < s->n; i++) {
        if (s->p[i] != ' ' && !v->rules->truncates) {
            cell_fault(v->cell, v->err, "is too long for %s: it has %zu characters",
                       v->column->type_name, chars);
            return error_sqlstate(v->err, "22001");
        }
    }
    s->n = keep;
    return true;
}

bool encode_without_nul(const struct encoding *v, struct str *s)
{
    struct buf *scratch = &v->encoder->scratch;

    if (s->n == 0 || memchr(s->p, 0, s->n) == NULL) {
        return true;
    }
    if (v->rules->nul == NUL_FAULT) {
        cell_fault(v->cell, v->err, "contains U+0000, which %s cannot hold", encoding_type_name(v));
        return error_sqlstate(v->err, "22021");
    }
    buf_clear(scratch);
    for (size_t i = 0; i < s->n; i++) {
        if (s->p[i] != '\0') {
            buf_add_u8(scratch, (uint8_t) s->p[i]);
        } else if (v->rules->nul == NUL_REPLACE) {
            buf_add_z(scratch, "\xEF\xBF\xBD"); /* U+FFFD */
        }
    }
    *s = scratch->n > 0 ? buf_str(scratch) : STR_LIT("");
    return true;
}

static bool text_checked(const struct encoding *v, bool limited)
{
    const struct cell *c = v->cell;
    struct digits digits;
    struct str s;
    size_t chars = 0;

    (void) encoding_text_of(v, &digits, &s); /* an object too becomes its text */
    bool may_have_nul = c->kind == CELL_BYTES || c->kind == CELL_STRING;
    if (may_have_nul && !encode_without_nul(v, &s)) {
        return false;
    }
    if ((c->kind == CELL_BYTES || limited) && !str_utf8(s, &chars)) {
        cell_fault(c, v->err, "is not valid UTF-8");
        return error_sqlstate(v->err, "22021");
    }
    return (!limited || cut_to_typmod(v, &s, chars)) && put_bytes(v, s);
}

/* The reader of documents has checked a string without escapes: it is UTF-8 without control
 * characters. */
static bool is_verbatim(const struct cell *c)
{
    return c->kind == CELL_STRING && c->raw.p != NULL && c->raw.p + 1 == c->text.p;
}

bool encode_text(const struct encoding *v)
{
    const struct cell *c = v->cell;
    enum column_type type = v->column->type;
    bool limited = (type == TYPE_VARCHAR || type == TYPE_BPCHAR) && v->column->typmod >= VARHDRSZ;

    /* It has no more bytes than characters are allowed, so it is not too long. */
    if (is_verbatim(c) && (!limited || c->text.n <= (size_t) (v->column->typmod - VARHDRSZ))) {
        return put_bytes(v, c->text);
    }
    return text_checked(v, limited);
}

/* enum_recv: the label. PostgreSQL checks it, for ALTER TYPE may add one at any time. */
bool encode_enum(const struct encoding *v)
{
    return v->cell->kind == CELL_JSON ? encoding_misfit(v) : encode_text(v);
}

/* ---- bytea ---- */

static bool bytes_fault(const struct encoding *v)
{
    static const char *const faults[] = {
        [BYTES_AUTO] = "is neither \\x and hexadecimal digits nor base64",
        [BYTES_BASE64] = "is not base64",
        [BYTES_HEX] = "is not hexadecimal digits",
    };

    return cell_fault(v->cell, v->err, "%s", faults[v->rules->bytes]);
}

/* A JSON string is read as the policy says; bytes are themselves. */
bool encode_bytea(const struct encoding *v)
{
    struct str s = v->cell->text;
    enum bytes_policy policy = v->rules->bytes;

    if (v->cell->kind == CELL_BYTES || (v->cell->kind == CELL_STRING && policy == BYTES_UTF8)) {
        return put_bytes(v, s);
    }
    if (v->cell->kind != CELL_STRING) {
        return encoding_misfit(v);
    }
    size_t n = 0;
    uint8_t *to = buf_reserve(v->out, 4 + s.n);
    bool marked = policy != BYTES_BASE64 && str_starts(s, "\\x");
    if (marked) {
        s = (struct str){.p = s.p + 2, .n = s.n - 2};
    }
    bool hex = marked || policy == BYTES_HEX;
    if (hex) {
        n = s.n / 2;
    }
    if (!(hex ? hex_decode(s, to + 4) : base64_decode(s, to + 4, &n))) {
        return bytes_fault(v);
    }
    buf_put_u32(to, (uint32_t) n);
    v->out->n += 4 + n;
    return true;
}

/* ---- uuid ---- */

/* The usual form: 8-4-4-4-12 digits. */
static bool is_usual_uuid(struct str s)
{
    return s.n == 36 && s.p[8] == '-' && s.p[13] == '-' && s.p[18] == '-' && s.p[23] == '-';
}

/* The four characters at a, then those at b. */
static uint64_t two_fours(const char *a, const char *b)
{
    uint32_t first;
    uint32_t second;

    memcpy(&first, a, sizeof first);
    memcpy(&second, b, sizeof second);
    return first | (uint64_t) second << 32;
}

static bool usual_uuid(const char *p, uint8_t *to)
{
    return ascii_hex_bytes(ascii_word(p), to) &&
           ascii_hex_bytes(two_fours(p + 9, p + 14), to + 4) &&
           ascii_hex_bytes(two_fours(p + 19, p + 24), to + 8) &&
           ascii_hex_bytes(ascii_word(p + 28), to + 12);
}

/*
 * uuid_in: 32 hexadecimal digits; a dash is allowed after every group of four but the last, and
 * braces around it all.
 */
static bool uuid_parse(struct str s, uint8_t *to)
{
    if (is_usual_uuid(s)) {
        return usual_uuid(s.p, to);
    }
    if (s.n >= 2 && s.p[0] == '{' && s.p[s.n - 1] == '}') {
        s = (struct str){.p = s.p + 1, .n = s.n - 2};
    }
    size_t i = 0;
    for (int byte = 0; byte < 16; byte++) {
        if (s.n - i < 2 || !hex_decode((struct str){.p = s.p + i, .n = 2}, to + byte)) {
            return false;
        }
        i += 2;
        if (byte % 2 == 1 && byte < 15 && i < s.n && s.p[i] == '-') {
            i++;
        }
    }
    return i == s.n;
}

static bool is_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < ' ' || s.p[i] > '~') {
            return false;
        }
    }
    return true;
}

/*
 * The bytes themselves, or their base64. Sixteen printable characters are a text that is no UUID,
 * rather than a UUID of such bytes: its variant field has the high bit set.
 */
static bool uuid_of_bytes(const struct cell *c, uint8_t *to)
{
    enum { BYTES = 16, BASE64_MIN = 22, BASE64_MAX = 24 };
    uint8_t bytes[BASE64_MAX];
    struct str s = c->text;
    size_t n = 0;

    if (c->kind == CELL_BYTES && s.n == BYTES && !is_printable(s)) {
        memcpy(to, s.p, BYTES);
        return true;
    }
    if (s.n < BASE64_MIN || s.n > BASE64_MAX || !base64_decode(s, bytes, &n) || n != BYTES) {
        return false;
    }
    memcpy(to, bytes, BYTES);
    return true;
}

bool encode_uuid(const struct encoding *v)
{
    const struct cell *c = v->cell;
    uint8_t *to = buf_reserve(v->out, 20);

    if ((c->kind != CELL_STRING && c->kind != CELL_BYTES) ||
        (!uuid_parse(c->text, to + 4) && !uuid_of_bytes(c, to + 4))) {
        return encoding_misfit(v);
    }
    buf_put_u32(to, 16);
    v->out->n += 20;
    return true;
}

/* ---- json, jsonb ---- */

bool encode_check_json(const struct encoding *v, struct str s)
{
    struct encoder *e = v->encoder;

    if (e->document == NULL) {
        e->document = document_new();
    }
    return document_read(e->document, s, NULL, NULL, v->err);
}

/* The end of the string that starts at s[i]; *out_nul is set if it holds an escaped U+0000. */
static size_t string_end(struct str s, size_t i, bool *out_nul)
{
    for (i++; s.p[i] != '"'; i++) {
        if (s.p[i] == '\\') {
            i++;
            *out_nul = *out_nul || memcmp(s.p + i, "u0000", 5) == 0;
        }
    }
    return i + 1;
}

/* JSON text whose escapes of U+0000 are removed or replaced. Only strings have backslashes. */
static struct str json_without_nul(const struct encoding *v, struct str s)
{
    static const char nul[] = "\\u0000";
    struct buf *scratch = &v->encoder->scratch;

    buf_clear(scratch);
    for (size_t i = 0; i < s.n;) {
        struct str rest = {.p = s.p + i, .n = s.n - i};
        if (str_starts(rest, nul)) {
            buf_add_z(scratch, v->rules->nul == NUL_REPLACE ? "\\ufffd" : "");
            i += sizeof nul - 1;
            continue;
        }
        size_t n = s.p[i] == '\\' ? 2 : 1;
        buf_add(scratch, s.p + i, n);
        i += n;
    }
    return buf_str(scratch);
}

/* A string that comes from no document: a name, or of a format that is not JSON. */
static struct str quoted(const struct encoding *v, bool *out_odd)
{
    struct str text = v->cell->text;
    struct buf *out = &v->encoder->quoted;

    buf_clear(out);
    escape_quote(out, text);
    *out_odd = *out_odd || (text.n > 0 && memchr(text.p, 0, text.n) != NULL);
    return buf_str(out);
}

/* The JSON text as it is in the record. *out_odd: it may hold what jsonb refuses. */
static bool json_as_is(const struct encoding *v, struct digits *digits, struct str *out,
                       bool *out_odd)
{
    const struct cell *c = v->cell;

    *out_odd = v->encoder->odd_json;
    if (c->kind == CELL_STRING) {
        *out = c->raw.p != NULL ? c->raw : quoted(v, out_odd);
        return true;
    }
    (void) encoding_text_of(v, digits, out);
    if (c->kind != CELL_BYTES) {
        return true;
    }
    *out = document_without_mark(*out);
    if (encode_check_json(v, *out)) {
        *out_odd = document_is_odd(v->encoder->document);
        return true;
    }
    *out = c->raw; /* a string, and it is no document (LOGICAL_JSON) */
    return c->raw.p != NULL;
}

/* The JSON text of the value. */
static bool json_text(const struct encoding *v, struct digits *digits, struct str *out,
                      bool *out_odd)
{
    if (!json_as_is(v, digits, out, out_odd)) {
        return false;
    }
    if (*out_odd && v->rules->nul != NUL_FAULT) {
        *out = json_without_nul(v, *out);
    }
    return true;
}

bool encode_json(const struct encoding *v)
{
    struct digits digits;
    struct str s;
    bool odd;

    return json_text(v, &digits, &s, &odd) && put_bytes(v, s);
}

static size_t number_end(struct str s, size_t i)
{
    while (i < s.n && s.p[i] != '\0' && strchr("0123456789+-.eE", s.p[i]) != NULL) {
        i++;
    }
    return i;
}

/*
 * What jsonb_in refuses of valid JSON: it keeps strings as text, which has no U+0000, and numbers
 * as numeric. s is valid JSON.
 */
static bool check_jsonb(const struct encoding *v, struct str s)
{
    struct decimal d;
    size_t i = 0;

    while (i < s.n) {
        size_t begin = i;
        bool nul = false;
        if (s.p[i] == '"') {
            i = string_end(s, i, &nul);
        } else if (s.p[i] == '-' || ascii_is_digit(s.p[i])) {
            i = number_end(s, i);
            struct cell number = {.kind = CELL_NUMBER, .text = {.p = s.p + begin, .n = i - begin}};
            if (decimal_scan(number.text, &d) && !numeric_holds(&d)) {
                cell_fault(&number, v->err, "is out of range for a number in jsonb");
                return error_sqlstate(v->err, "22003");
            }
        } else {
            i++;
        }
        if (nul) {
            cell_fault(v->cell, v->err, "contains U+0000, which jsonb cannot hold");
            return error_sqlstate(v->err, "22P05");
        }
    }
    return true;
}

/* jsonb_recv: a version byte, 1, and the JSON text. Its strings may have 2^28 - 1 bytes
 * (JENTRY_OFFLENMASK). */
bool encode_jsonb(const struct encoding *v)
{
    struct digits digits;
    struct str s;
    bool odd;

    if (!json_text(v, &digits, &s, &odd) || (odd && !check_jsonb(v, s))) {
        return false;
    }
    if (s.n > 0x0FFFFFFF) {
        cell_fault(v->cell, v->err, "is too large for jsonb");
        return error_sqlstate(v->err, "54000");
    }
    buf_add_u32(v->out, (uint32_t) s.n + 1);
    buf_add_u8(v->out, 1);
    buf_add_str(v->out, s);
    return true;
}
