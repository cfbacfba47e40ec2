/* See framing.h. */
#include "row/format/framing.h"

#include <stdio.h>
#include <string.h>

enum {
    MAGIC_ID = 0x00,
    MAGIC_GUID = 0x01,
    GUID_BYTES = 16,
    VARINT_BYTES_MAX = 5, /* of 32 bits */
};

static const char *const names[] = {
    [FRAMING_AUTO] = "auto",         [FRAMING_CONFLUENT] = "confluent",
    [FRAMING_APICURIO] = "apicurio", [FRAMING_APICURIO8] = "apicurio8",
    [FRAMING_NONE] = "none",
};
_Static_assert(ARRAY_LEN(names) == FRAMING_COUNT, "each framing has its name");

const char *framing_name(enum framing_id id)
{
    return names[id];
}

/* The headers that say something about the value, and about the key. */
struct header_names {
    const char *confluent;
    const char *global;
    const char *content;
    const char *encoding;
    const char *message;
};

static const struct header_names header_names[] = {
    {
        .confluent = "__value_schema_id",
        .global = "apicurio.value.globalId",
        .content = "apicurio.value.contentId",
        .encoding = "apicurio.value.encoding",
        .message = "apicurio.value.protobuf.type",
    },
    {
        .confluent = "__key_schema_id",
        .global = "apicurio.key.globalId",
        .content = "apicurio.key.contentId",
        .encoding = "apicurio.key.encoding",
        .message = "apicurio.key.protobuf.type",
    },
};

/* One record that is looked at. */
struct look {
    const struct framing *framing;
    const struct message *msg;
    const struct header_names *headers;
    const char *what;
    struct str bytes;
    struct error *err;
};

/* The value of the last header of that name; absent if there is none, or it is null. */
static struct str header_of(const struct look *k, const char *name)
{
    for (size_t i = k->msg->header_count; i > 0; i--) {
        if (str_eq_z(k->msg->headers[i - 1].name, name)) {
            return k->msg->headers[i - 1].value;
        }
    }
    return (struct str){0};
}

static bool takes_confluent(const struct look *k)
{
    return k->framing->id == FRAMING_AUTO || k->framing->id == FRAMING_CONFLUENT;
}

static bool takes_apicurio(const struct look *k)
{
    return k->framing->id != FRAMING_CONFLUENT;
}

/* ---- faults ---- */

struct hex {
    char text[3 * 8 + sizeof " ..."];
};

/* The first bytes, as "7b 22 69 64 ...". */
static const char *hex_of(struct hex *h, struct str s)
{
    size_t n = MIN(s.n, (size_t) 8);
    char *to = h->text;

    *to = '\0';
    for (size_t i = 0; i < n; i++) {
        to += snprintf(to, 4, i == 0 ? "%02x" : " %02x", (uint8_t) s.p[i]);
    }
    if (s.n > n) {
        memcpy(to, " ...", sizeof " ...");
    }
    return h->text;
}

static bool begins(struct str s, const char *with, size_t n, size_t least)
{
    return s.n >= least && memcmp(s.p, with, n) == 0;
}

static bool is_text(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool is_control = (uint8_t) s.p[i] < ' ' && strchr("\t\n\r", s.p[i]) == NULL;
        if (is_control || s.p[i] == '\0') {
            return false;
        }
    }
    return s.n > 0 && str_utf8(s, NULL);
}

struct likeness {
    const char *text;
    const char *hint; /* NULL: there is none */
};

static const struct likeness like_json = {
    "they look like JSON",
    "If they are JSON without a schema: format: json for values, key_format: json for keys. If "
    "they were written with a JSON Schema, but without an id: framing: none.",
};
static const struct likeness like_text = {
    "they look like text",
    "format: raw takes values as they are, key_format: text does so for keys.",
};
static const struct likeness like_glue = {
    "they look like AWS Glue's framing",
    "AWS Glue's schema registry is not supported.",
};
static const struct likeness like_single = {
    "they look like Avro's single-object encoding",
    "It names a schema by its fingerprint, which is not supported.",
};
static const struct likeness like_file = {
    "they look like a whole Avro file",
    "A record must hold one value, not a file.",
};
static const struct likeness like_apicurio = {
    "the record has Apicurio's headers",
    "framing: apicurio, or auto",
};
static const struct likeness like_confluent = {
    "the record has Confluent's header",
    "framing: confluent, or auto",
};
static const struct likeness like_eight = {
    "they look like an id of eight bytes",
    "framing: apicurio8",
};
static const struct likeness like_bare = {
    "they look like a value without a schema's id",
    "If no record of the topic has an id: framing: none.",
};

/* Does a header count that the framing of the route does not look at? */
static const struct likeness *other_headers(const struct look *k)
{
    const struct header_names *h = k->headers;
    bool has_confluent = header_of(k, h->confluent).p != NULL;
    bool has_apicurio = header_of(k, h->global).p != NULL || header_of(k, h->content).p != NULL;

    if (has_confluent && !takes_confluent(k)) {
        return &like_confluent;
    }
    return has_apicurio && !takes_apicurio(k) ? &like_apicurio : NULL;
}

static const struct likeness *likeness_of(const struct look *k)
{
    const struct likeness *other = other_headers(k);
    struct str trimmed = str_trim(k->bytes);

    if (other != NULL) {
        return other;
    }
    if (trimmed.n > 0 && strchr("{[\"", *trimmed.p) != NULL && *trimmed.p != '\0') {
        return &like_json;
    }
    if (begins(k->bytes, "\x03\x00", 2, 18) || begins(k->bytes, "\x03\x05", 2, 18)) {
        return &like_glue;
    }
    if (begins(k->bytes, "\xC3\x01", 2, 10)) {
        return &like_single;
    }
    if (begins(k->bytes, "Obj\x01", 4, 4)) {
        return &like_file;
    }
    if (begins(k->bytes, "\0\0\0\0\0", 5, 9)) {
        return &like_eight;
    }
    return is_text(k->bytes) ? &like_text : &like_bare;
}

/* What is wrong, followed by the first bytes and what they look like. */
static bool wrong(const struct look *k, const char *problem)
{
    const struct likeness *like = likeness_of(k);
    struct hex hex;

    error_set(k->err, ERROR_RECORD, "the %s %s; its first bytes are %s: %s", k->what, problem,
              hex_of(&hex, k->bytes), like->text);
    error_sqlstate(k->err, "22P03"); /* invalid_binary_representation */
    return error_hint(k->err, "%s", like->hint);
}

/* A header that is not what its name says. */
static bool wrong_header(const struct look *k, const char *name, struct str header,
                         const char *problem)
{
    struct hex hex;

    error_set(k->err, ERROR_RECORD, "the header %s %s: %s", name, problem,
              header.n == 0 ? "it is empty" : hex_of(&hex, header));
    return error_sqlstate(k->err, "22P03");
}

/* ---- numbers ---- */

static uint64_t big_endian(struct str s, size_t n)
{
    uint64_t number = 0;

    for (size_t i = 0; i < n; i++) {
        number = number << 8 | (uint8_t) s.p[i];
    }
    return number;
}

static struct str beyond(struct str s, size_t n)
{
    return (struct str){.p = s.p + n, .n = s.n - n};
}

/* A varint of 32 bits, as it is written. */
static bool take_varint(struct str *from, uint32_t *out)
{
    uint64_t number = 0;

    for (size_t i = 0; i < VARINT_BYTES_MAX && i < from->n; i++) {
        uint64_t byte = (uint8_t) from->p[i];
        number |= (byte & 0x7F) << (7 * i);
        if ((byte & 0x80) == 0) {
            *from = beyond(*from, i + 1);
            *out = (uint32_t) number;
            return number <= UINT32_MAX;
        }
    }
    return false;
}

/* One in zigzag form that is not negative. */
static bool take_zigzag(struct str *from, uint32_t *out)
{
    uint32_t raw;
    bool ok = take_varint(from, &raw) && (raw & 1) == 0;

    *out = ok ? raw >> 1 : 0;
    return ok;
}

/* ---- which message it is ---- */

/* How many, then the positions. What follows them is left in *from. */
static bool take_indexes(struct str *from, struct framed *out)
{
    uint32_t count;

    if (!take_zigzag(from, &count) || count > FRAMING_INDEXES_MAX) {
        return false;
    }
    out->index_count = MAX(count, 1);
    out->indexes[0] = 0;
    for (size_t i = 0; i < count; i++) {
        if (!take_zigzag(from, &out->indexes[i])) {
            return false;
        }
    }
    return true;
}

static bool is_message_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!is_letter && c != '.' && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return s.n > 0;
}

/* Apicurio's Ref: its length, then field 1, a string. Leaves *from as it is if there is none. */
static bool take_name(struct str *from, struct framed *out)
{
    struct str rest = *from;
    uint32_t whole;
    uint32_t n;

    if (!take_varint(&rest, &whole) || whole > rest.n || whole < 2 || *rest.p != 0x0A) {
        return false;
    }
    struct str inner = {.p = rest.p + 1, .n = whole - 1};
    if (!take_varint(&inner, &n) || n != inner.n || !is_message_name(inner)) {
        return false;
    }
    out->message = inner;
    *from = beyond(rest, whole);
    return true;
}

/* What stands between the id and the message, at the beginning of the payload. */
static bool take_message(const struct look *k, struct framed *out)
{
    bool has_name = k->framing->id == FRAMING_APICURIO || k->framing->id == FRAMING_APICURIO8;

    if (!k->framing->has_message || (has_name && take_name(&out->payload, out))) {
        return true;
    }
    return take_indexes(&out->payload, out) ||
           wrong(k, "has an id, but after it no message indexes, as Protobuf wants them");
}

/* ---- headers ---- */

static bool read_confluent_header(const struct look *k, struct str header, struct framed *out)
{
    const char *name = k->headers->confluent;
    size_t n = header.n > 0 && *header.p == MAGIC_ID ? 4 : GUID_BYTES;
    bool is_known = header.n > 0 && (uint8_t) *header.p <= MAGIC_GUID;

    if (!is_known || header.n < 1 + n) {
        return wrong_header(k, name, header, "is neither 00 and an id nor 01 and a GUID");
    }
    struct str rest = beyond(header, 1);
    if (n == GUID_BYTES) {
        out->ref.kind = SCHEMA_REF_GUID;
        memcpy(out->ref.guid, rest.p, GUID_BYTES);
    } else {
        out->ref.kind = SCHEMA_REF_ID;
        out->ref.id = (int32_t) (uint32_t) big_endian(rest, n);
    }
    rest = beyond(rest, n);
    bool has_message = k->framing->has_message && take_indexes(&rest, out);
    if (k->framing->has_message && !has_message) {
        return wrong_header(k, name, header, "has no message indexes, as Protobuf wants them");
    }
    return rest.n == 0 || wrong_header(k, name, header, "has more bytes than it needs");
}

/* Of a record that has Apicurio's header of an id. */
static bool read_apicurio_header(const struct look *k, const char *name, enum schema_ref_kind kind,
                                 struct str header, struct framed *out)
{
    struct str encoding = header_of(k, k->headers->encoding);

    if (header.n != 8) {
        return wrong_header(k, name, header, "has not eight bytes");
    }
    if (k->framing->is_binary && encoding.p != NULL && str_eq_z(encoding, "JSON")) {
        error_set(k->err, ERROR_RECORD,
                  "the %s is Avro's JSON, as the header %s says, and only binary "
                  "Avro can be read",
                  k->what, k->headers->encoding);
        error_sqlstate(k->err, "22P03");
        return error_hint(k->err, "The writer's setting is apicurio.avro.encoding: BINARY.");
    }
    out->ref.kind = kind;
    out->ref.id = (int64_t) big_endian(header, 8);
    if (k->framing->has_message) {
        out->message = header_of(k, k->headers->message);
    }
    return true;
}

/* *out_found: a header has said it. */
static bool read_headers(const struct look *k, struct framed *out, bool *out_found)
{
    struct str confluent = header_of(k, k->headers->confluent);
    struct str global = header_of(k, k->headers->global);
    struct str content = header_of(k, k->headers->content);

    *out_found = true;
    if (takes_confluent(k) && confluent.p != NULL) {
        return read_confluent_header(k, confluent, out);
    }
    if (takes_apicurio(k) && global.p != NULL) {
        return read_apicurio_header(k, k->headers->global, SCHEMA_REF_GLOBAL, global, out);
    }
    if (takes_apicurio(k) && content.p != NULL) {
        return read_apicurio_header(k, k->headers->content, SCHEMA_REF_CONTENT, content, out);
    }
    *out_found = false;
    return true;
}

/* ---- prefixes ---- */

static bool read_guid_prefix(const struct look *k, struct framed *out)
{
    if (k->bytes.n < 1 + GUID_BYTES) {
        return wrong(k, "begins with 01, but no GUID of 16 bytes follows");
    }
    out->ref.kind = SCHEMA_REF_GUID;
    memcpy(out->ref.guid, k->bytes.p + 1, GUID_BYTES);
    out->payload = beyond(k->bytes, 1 + GUID_BYTES);
    return take_message(k, out);
}

static bool read_prefix(const struct look *k, struct framed *out)
{
    bool is_long = k->framing->id == FRAMING_APICURIO8;
    size_t n = is_long ? 8 : 4;

    if (k->bytes.n > 0 && *k->bytes.p == MAGIC_GUID && takes_confluent(k)) {
        return read_guid_prefix(k, out);
    }
    if (k->bytes.n == 0) {
        error_set(k->err, ERROR_RECORD,
                  "the %s is empty, and does not begin with the id of a schema", k->what);
        return error_sqlstate(k->err, "22P03");
    }
    if (*k->bytes.p != MAGIC_ID) {
        return wrong(k, "does not begin with the id of a schema");
    }
    if (k->bytes.n < 1 + n) {
        return wrong(k, is_long ? "begins with 00, but no id of eight bytes follows"
                                : "begins with 00, but no id of four bytes follows");
    }
    struct str rest = beyond(k->bytes, 1);
    uint64_t id = big_endian(rest, n);
    if (id == 0) {
        return wrong(k, "begins with 00 and the id 0, which no registry gives");
    }
    out->ref.kind = is_long                              ? SCHEMA_REF_GLOBAL
                    : k->framing->id == FRAMING_APICURIO ? SCHEMA_REF_CONTENT
                                                         : SCHEMA_REF_ID;
    out->ref.id = is_long ? (int64_t) id : (int32_t) (uint32_t) id;
    out->payload = beyond(rest, n);
    return take_message(k, out);
}

bool framing_read(const struct framing *f, const struct message *msg, bool of_key,
                  struct framed *out, struct error *err)
{
    const struct look k = {
        .framing = f,
        .msg = msg,
        .headers = &header_names[of_key],
        .what = of_key ? "key" : "value",
        .bytes = of_key ? msg->key : msg->value,
        .err = err,
    };
    bool found;

    *out = (struct framed){.payload = k.bytes};
    if (k.bytes.p == NULL || f->id == FRAMING_NONE) {
        return true;
    }
    return read_headers(&k, out, &found) && (found || read_prefix(&k, out));
}
