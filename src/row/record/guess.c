/* See guess.h. One thread. */
#include "row/record/guess.h"

#include "base/mem.h"
#include "row/json/document.h"
#include "row/json/elements.h"

#include <stdlib.h>
#include <string.h>

struct guesser {
    struct document *document;
    struct buf plain;
};

struct guesser *guesser_new(void)
{
    struct guesser *g = mem_zalloc(sizeof *g);

    g->document = document_new();
    return g;
}

struct guesser *guesser_free(struct guesser *g)
{
    if (g != NULL) {
        document_free(g->document);
        buf_done(&g->plain);
        free(g);
    }
    return NULL;
}

/* ---- bytes ---- */

static uint32_t word_at(struct str s, size_t at)
{
    uint32_t word;

    memcpy(&word, s.p + at, sizeof word);
    return __builtin_bswap32(word);
}

/* Registries count from 1 on; what is larger is something else. */
static bool is_schema_id(uint32_t id)
{
    return id > 0 && id <= 100000000;
}

static enum guess guess_framed(struct str s)
{
    if (s.n < 6 || s.p[0] != 0) {
        return GUESS_NONE;
    }
    if (is_schema_id(word_at(s, 1))) {
        return s.p[5] == '{' || s.p[5] == '[' ? GUESS_CONFLUENT_JSON : GUESS_CONFLUENT;
    }
    return s.n > 9 && word_at(s, 1) == 0 && is_schema_id(word_at(s, 5)) ? GUESS_APICURIO
                                                                        : GUESS_NONE;
}

/* What files and compressed data begin with. */
static enum guess guess_magic(struct str s)
{
    if (str_starts(s, "Obj\x01")) {
        return GUESS_AVRO_FILE;
    }
    if (str_starts(s, "\x1f\x8b")) {
        return GUESS_GZIP;
    }
    if (str_starts(s, "\x28\xb5\x2f\xfd")) {
        return GUESS_ZSTD;
    }
    return str_starts(s, "\xff\xfe") || str_starts(s, "\xfe\xff") ? GUESS_UTF16 : GUESS_NONE;
}

/* Control characters, or no UTF-8. */
static bool is_binary(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char) s.p[i];
        if ((c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) {
            return true;
        }
    }
    return !str_utf8(s, NULL);
}

bool guess_is_document(struct str text)
{
    text = str_trim(text);
    return text.n >= 2 && ((text.p[0] == '{' && text.p[text.n - 1] == '}') ||
                           (text.p[0] == '[' && text.p[text.n - 1] == ']'));
}

static bool has_header(const struct message *msg, const char *prefix)
{
    for (size_t i = 0; i < msg->header_count; i++) {
        if (str_starts(msg->headers[i].name, prefix)) {
            return true;
        }
    }
    return false;
}

/* JSON that has a control character in a string is not well-formed, but it is text. */
static enum guess guess_bytes(struct str s)
{
    enum guess guess = guess_magic(s);
    bool is_text = guess_is_document(s) && str_utf8(s, NULL);

    guess = guess != GUESS_NONE ? guess : guess_framed(s);
    return guess == GUESS_NONE && !is_text && is_binary(s) ? GUESS_BINARY : guess;
}

/* ---- JSON ---- */

/* Which of the names that wrappers and change events have an object has. */
enum {
    NAME_SCHEMA = 1,
    NAME_PAYLOAD = 2,
    NAME_OP = 4,
    NAME_BEFORE = 8,
    NAME_AFTER = 16,
    OTHER = 32
};

static unsigned name_bit(struct str name)
{
    static const char *const NAMES[] = {"schema", "payload", "op", "before", "after"};

    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        if (str_eq_z(name, NAMES[i])) {
            return 1U << i;
        }
    }
    return OTHER;
}

static unsigned names_of(struct guesser *g, struct str object)
{
    struct elements e;
    struct cell value;
    struct str name;
    unsigned names = 0;

    elements_open(&e, object, &g->plain);
    while (elements_next(&e)) {
        elements_name(&e, &name);
        names |= name_bit(name);
        elements_value(&e, &value);
    }
    return names;
}

static bool is_event(unsigned names)
{
    return (names & NAME_OP) != 0 && (names & (NAME_BEFORE | NAME_AFTER)) != 0;
}

static enum guess guess_object(struct guesser *g, struct str object)
{
    struct cell payload;
    unsigned names = names_of(g, object);

    if (names != (NAME_SCHEMA | NAME_PAYLOAD)) {
        return is_event(names) ? GUESS_DEBEZIUM : GUESS_NONE;
    }
    bool wraps_event = elements_find(object, "payload", &g->plain, &payload) &&
                       cell_is_object(&payload) && is_event(names_of(g, payload.text));
    return wraps_event ? GUESS_DEBEZIUM : GUESS_CONNECT;
}

/* *out_root: the document; false if it is none. */
static bool read_json(struct guesser *g, struct str s, struct cell *out_root)
{
    struct fields names;
    struct error err;

    fields_init(&names);
    fields_seal(&names);
    bool ok = document_read(g->document, s, &names, out_root, &err);
    fields_done(&names);
    return ok;
}

enum guess guess_value(struct guesser *g, const struct message *msg)
{
    struct cell root;

    if (msg->value.n == 0) {
        return GUESS_NONE;
    }
    if (!read_json(g, msg->value, &root)) {
        return has_header(msg, "apicurio.value.") ? GUESS_APICURIO : guess_bytes(msg->value);
    }
    if (cell_is_object(&root)) {
        return guess_object(g, root.text);
    }
    return root.kind == CELL_STRING && guess_is_document(root.text) ? GUESS_JSON_STRING
                                                                    : GUESS_NONE;
}

/* A frame is a zero byte and the id of a schema, which begins with a zero byte, too, if it is below
 * 2^24. Of random UUIDs one in 65,536 begins with two of them. */
static enum guess guess_16(struct str key)
{
    enum guess framed = key.p[1] == 0 ? guess_framed(key) : GUESS_NONE;

    return framed != GUESS_NONE ? framed : GUESS_KEY_UUID;
}

/* Serializers of numbers write as many bytes as the type has. */
static enum guess guess_binary_key(struct str key)
{
    switch (key.n) {
    case 4:
        return GUESS_KEY_INT32;
    case 8:
        return GUESS_KEY_INT64;
    case 16:
        return guess_16(key);
    default:
        return guess_bytes(key);
    }
}

enum guess guess_key(struct guesser *g, const struct message *msg)
{
    struct cell root;

    if (msg->key.n == 0) {
        return GUESS_NONE;
    }
    if (is_binary(msg->key)) {
        return has_header(msg, "apicurio.key.") ? GUESS_APICURIO : guess_binary_key(msg->key);
    }
    if (!read_json(g, msg->key, &root)) {
        return GUESS_NONE;
    }
    if (root.kind == CELL_STRING) {
        return GUESS_KEY_QUOTED;
    }
    return cell_is_object(&root) && guess_object(g, root.text) == GUESS_CONNECT ? GUESS_CONNECT
                                                                                : GUESS_NONE;
}
