/* See placeholder.h. */
#include "row/schema/placeholder.h"

#include "base/mem.h"
#include "row/json/elements.h"
#include "row/text/base64.h"
#include "row/text/hex.h"
#include "row/text/md5.h"

#include <stdlib.h>

/* How it is written where a string stands. */
enum form { FORM_TEXT, FORM_BASE64, FORM_BASE64_URL, FORM_HEX, FORM_UUID, FORM_MAP, FORMS };

struct placeholder {
    struct buf forms[FORMS];
    size_t longest; /* of a text that can be one of its arrays or maps */
};

/* RFC 9562: version 3 and its variant over the MD5 of the bytes, as java.util.UUID has it. */
static void add_uuid(struct buf *out, struct str text)
{
    static const size_t groups[] = {4, 2, 2, 2, 6};
    uint8_t digest[MD5_BYTES];

    md5(text, digest);
    digest[6] = (uint8_t) ((digest[6] & 0x0F) | 0x30);
    digest[8] = (uint8_t) ((digest[8] & 0x3F) | 0x80);
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        buf_add_z(out, i > 0 ? "-" : "");
        hex_add(out, digest + at, groups[i]);
        at += groups[i];
    }
}

struct placeholder *placeholder_new(const char *text)
{
    struct placeholder *p = mem_zalloc(sizeof *p);
    struct str s = str_of(text);

    buf_add_str(&p->forms[FORM_TEXT], s);
    base64_add(&p->forms[FORM_BASE64], s, BASE64_STANDARD);
    base64_add(&p->forms[FORM_BASE64_URL], s, BASE64_URL_SAFE);
    hex_add(&p->forms[FORM_HEX], s.p, s.n);
    add_uuid(&p->forms[FORM_UUID], s);
    buf_printf(&p->forms[FORM_MAP], "{\"" STR_FMT "\":\"" STR_FMT "\"}", STR_ARG(s), STR_ARG(s));
    p->longest = 64 + 16 * s.n; /* numbers of three digits, white space, escapes */
    return p;
}

struct placeholder *placeholder_free(struct placeholder *p)
{
    if (p != NULL) {
        for (int i = 0; i < FORMS; i++) {
            buf_done(&p->forms[i]);
        }
        free(p);
    }
    return NULL;
}

static bool is_form(const struct placeholder *p, struct str text)
{
    for (int i = 0; i < FORMS; i++) {
        if (str_eq(text, buf_str(&p->forms[i]))) {
            return true;
        }
    }
    return false;
}

static bool is_map(const struct placeholder *p, struct str json, struct buf *plain)
{
    struct str text = buf_str(&p->forms[FORM_TEXT]);
    struct elements e;
    struct cell value;
    struct str name;

    elements_open(&e, json, plain);
    if (!elements_next(&e)) {
        return false;
    }
    elements_name(&e, &name);
    bool same = str_eq(name, text);
    elements_value(&e, &value);
    return same && value.kind == CELL_STRING && str_eq(value.text, text) && !elements_next(&e);
}

/* The bytes of the text, each a number. */
static bool is_list(const struct placeholder *p, struct str json, struct buf *plain)
{
    struct str text = buf_str(&p->forms[FORM_TEXT]);
    struct elements e;
    struct cell value;
    size_t i = 0;

    elements_open(&e, json, plain);
    for (; elements_next(&e); i++) {
        elements_value(&e, &value);
        if (i == text.n || !cell_is_short(&value)) {
            return false;
        }
        int64_t number = value.number;
        for (int k = 0; k < value.scale; k++) {
            number = number % 10 == 0 ? number / 10 : -1; /* 95.0 is 95 */
        }
        if (number != (uint8_t) text.p[i]) {
            return false;
        }
    }
    return i == text.n;
}

static bool is_array(const struct placeholder *p, struct str json, struct buf *plain)
{
    struct elements e;
    struct cell value;

    elements_open(&e, json, plain);
    if (!elements_next(&e)) {
        return false;
    }
    elements_value(&e, &value);
    if (value.kind != CELL_STRING) {
        return is_list(p, json, plain);
    }
    bool same = is_form(p, value.text);
    return same && !elements_next(&e);
}

/* Is it the UUID as its sixteen bytes? */
static bool is_uuid(const struct placeholder *p, struct str bytes)
{
    struct str text = buf_str(&p->forms[FORM_UUID]);
    _cleanup_buf_ struct buf hex = {0};
    size_t at = 0;

    if (bytes.n != MD5_BYTES) {
        return false;
    }
    hex_add(&hex, bytes.p, bytes.n);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '-' && (uint8_t) text.p[i] != hex.p[at++]) {
            return false;
        }
    }
    return true;
}

bool placeholder_is(const struct placeholder *p, const struct cell *c, struct buf *plain)
{
    if (c->kind == CELL_STRING) {
        return is_form(p, c->text);
    }
    if (c->kind == CELL_BYTES) {
        return str_eq(c->text, buf_str(&p->forms[FORM_TEXT])) || is_uuid(p, c->text);
    }
    if (c->kind != CELL_JSON || c->text.n > p->longest) {
        return false;
    }
    return cell_is_object(c) ? is_map(p, c->text, plain) : is_array(p, c->text, plain);
}
