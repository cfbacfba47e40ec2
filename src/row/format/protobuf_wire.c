/* See protobuf_wire.h. */
#include "row/format/protobuf_wire.h"

#include "base/mem.h"
#include "row/cell/cell.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Places and pieces that are kept from one message to the next. */
enum { KEEP = 1 << 16 };

enum { TAG_MAX = 5 };

/* Of messages that come in pieces: each level may be split, and is copied then. */
#define MERGED_LEAST ((size_t) 64 << 20)
#define MERGED_PER_BYTE 4

static void free_stacks(struct protobuf_wire *w)
{
    free(w->pieces);
    free(w->seen);
    w->pieces = NULL;
    w->seen = NULL;
    w->piece_cap = 0;
    w->seen_cap = 0;
}

void protobuf_wire_begin(struct protobuf_wire *w, struct str bytes, struct error *err)
{
    w->begin = (const uint8_t *) bytes.p;
    w->end = w->begin + bytes.n;
    w->err = err;
    if (w->piece_cap > KEEP || w->seen_cap > KEEP) { /* a message of unusual size was there */
        free_stacks(w);
    }
    w->piece_count = 0;
    w->seen_count = 0;
    w->depth = 0;
    arena_reset(&w->merged);
}

void protobuf_wire_done(struct protobuf_wire *w)
{
    free_stacks(w);
    arena_done(&w->merged);
    *w = (struct protobuf_wire){0};
}

bool protobuf_fault(const struct protobuf_wire *w, const uint8_t *at, const char *fmt, ...)
{
    char what[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    if (at >= w->begin && at <= w->end) {
        error_set(w->err, ERROR_RECORD, "%s at byte %zu", what, (size_t) (at - w->begin));
    } else { /* of a message that came in pieces */
        error_set(w->err, ERROR_RECORD, "%s", what);
    }
    return error_sqlstate(w->err, "22P03"); /* invalid_binary_representation */
}

bool protobuf_too_deep(const struct protobuf_wire *w)
{
    error_set(w->err, ERROR_RECORD, "it is nested deeper than %d levels", PROTOBUF_DEPTH_MAX);
    return error_sqlstate(w->err, "54001");
}

bool protobuf_varint_slow(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
    uint64_t n = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (*p == end) {
            return false;
        }
        uint8_t byte = *(*p)++;
        n |= (uint64_t) (byte & 0x7F) << shift;
        if (byte < 0x80) {
            *out = n;
            return true;
        }
    }
    return false;
}

const struct shape *protobuf_value_shape(const struct shape_field *f)
{
    return f->is_repeated ? f->shape->element : f->shape;
}

/* How one value is written. */
static uint8_t wire_of(const struct shape *s)
{
    switch (s->kind) {
    case SHAPE_BOOL:
    case SHAPE_ENUM:
        return WIRE_VARINT;
    case SHAPE_INT32:
    case SHAPE_UINT32:
        return s->is_fixed_width ? WIRE_32 : WIRE_VARINT;
    case SHAPE_INT64:
    case SHAPE_UINT64:
        return s->is_fixed_width ? WIRE_64 : WIRE_VARINT;
    case SHAPE_FLOAT:
        return WIRE_32;
    case SHAPE_DOUBLE:
        return WIRE_64;
    case SHAPE_RECORD:
        return s->is_group ? WIRE_GROUP : WIRE_BYTES;
    case SHAPE_STRING:
    case SHAPE_BYTES:
    case SHAPE_NULL: /* from here on, none that a field of Protobuf has */
    case SHAPE_NUMBER:
    case SHAPE_FIXED:
    case SHAPE_ARRAY:
    case SHAPE_MAP:
    case SHAPE_UNION:
    case SHAPE_ANY:
        break;
    }
    return WIRE_BYTES;
}

/* ---- passing over ---- */

struct tag {
    uint32_t number;
    uint8_t wire;
};

/* A tag has 32 bits in five bytes; what the last of them says beyond that counts for nothing, as
 * in the libraries of Protobuf. */
static bool read_tag(const struct protobuf_wire *w, const uint8_t **p, const uint8_t *end,
                     struct tag *out)
{
    const uint8_t *at = *p;
    uint64_t n;

    if (!protobuf_varint(p, end, &n)) {
        return protobuf_fault(w, at, "the end in the middle of a tag");
    }
    *out = (struct tag){.number = (uint32_t) n >> 3, .wire = (uint8_t) (n & 7)};
    if (*p - at > TAG_MAX || out->number == 0 || out->wire > WIRE_32) {
        return protobuf_fault(w, at, "no tag of a field");
    }
    return true;
}

static bool skip_group(struct protobuf_wire *w, const uint8_t **p, const uint8_t *end,
                       uint32_t number, struct protobuf_piece *out);

/* The value after a tag, of whatever field. */
static bool take_value(struct protobuf_wire *w, const uint8_t **p, const uint8_t *end,
                       struct tag tag, struct protobuf_piece *out)
{
    const uint8_t *at = *p;
    uint64_t n = 0;

    *out = (struct protobuf_piece){.p = at, .next = PIECE_NONE, .wire = tag.wire};
    switch ((enum protobuf_wire_type) tag.wire) {
    case WIRE_VARINT:
        if (!protobuf_varint(p, end, &n)) {
            return protobuf_fault(w, at, "a number without an end");
        }
        out->end = *p;
        return true;
    case WIRE_64:
        n = 8;
        break;
    case WIRE_32:
        n = 4;
        break;
    case WIRE_BYTES:
        if (!protobuf_varint(p, end, &n)) {
            return protobuf_fault(w, at, "a length without an end");
        }
        out->p = *p;
        break;
    case WIRE_GROUP:
        return skip_group(w, p, end, tag.number, out);
    case WIRE_GROUP_END:
        return protobuf_fault(w, at, "the end of a group that was not begun");
    }
    if (n > (uint64_t) (end - *p)) {
        return protobuf_fault(w, at, "field %" PRIu32 " has %" PRIu64 " bytes where %zu are left",
                              tag.number, n, (size_t) (end - *p));
    }
    *p += n;
    out->end = *p;
    return true;
}

static bool skip_group(struct protobuf_wire *w, const uint8_t **p, const uint8_t *end,
                       uint32_t number, struct protobuf_piece *out)
{
    struct protobuf_piece inner;
    struct tag tag = {0};
    bool ok = false;

    if (w->depth == PROTOBUF_DEPTH_MAX) {
        return protobuf_too_deep(w);
    }
    w->depth++;
    for (;;) {
        const uint8_t *at = *p;
        if (!read_tag(w, p, end, &tag)) {
            break;
        }
        if (tag.wire == WIRE_GROUP_END) {
            out->end = at;
            ok = tag.number == number || protobuf_fault(w, at, "the end of another group");
            break;
        }
        if (!take_value(w, p, end, tag, &inner)) {
            break;
        }
    }
    w->depth--;
    return ok;
}

/* ---- fields ---- */

static const struct shape_field *field_numbered(const struct shape *s, uint32_t number)
{
    uint32_t low = 0;
    uint32_t high = s->field_count;

    if (number <= high && s->by_number[number - 1]->number == (int32_t) number) {
        return s->by_number[number - 1]; /* most often they are 1, 2, 3, ... */
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint32_t its = (uint32_t) s->by_number[middle]->number;
        if (its == number) {
            return s->by_number[middle];
        }
        if (its < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static bool check_text(const struct protobuf_wire *w, const struct shape *s,
                       const struct protobuf_piece *piece)
{
    struct str text = {.p = (const char *) piece->p, .n = (size_t) (piece->end - piece->p)};
    struct excerpt x;

    if (s->is_loose || str_utf8(text, NULL)) {
        return true;
    }
    error_set(w->err, ERROR_RECORD, "a string that is not valid UTF-8: %s", excerpt_text(&x, text));
    return error_sqlstate(w->err, "22021");
}

/* Numbers one after the other. */
static bool check_packed(const struct protobuf_wire *w, const struct shape *s,
                         const struct protobuf_piece *piece)
{
    const uint8_t *p = piece->p;
    uint8_t wire = wire_of(s);
    uint64_t n;

    if (wire != WIRE_VARINT) {
        size_t width = wire == WIRE_32 ? 4 : 8;
        return (size_t) (piece->end - p) % width == 0 ||
               protobuf_fault(w, p, "packed numbers of %zu bytes in %zu", width,
                              (size_t) (piece->end - p));
    }
    while (p < piece->end) {
        if (!protobuf_varint(&p, piece->end, &n)) {
            return protobuf_fault(w, p, "packed numbers that end in the middle of one");
        }
    }
    return true;
}

/* Is the piece a value of the field? *out_ok is false if it is a bad one. */
static bool belongs(const struct protobuf_wire *w, const struct shape_field *f,
                    const struct protobuf_piece *piece, bool *out_ok)
{
    if (f->shape->kind == SHAPE_MAP) {
        return piece->wire == WIRE_BYTES;
    }
    const struct shape *s = protobuf_value_shape(f);
    uint8_t wire = wire_of(s);
    if (piece->wire == wire) {
        *out_ok = s->kind != SHAPE_STRING || check_text(w, s, piece);
        return true;
    }
    if (f->is_repeated && piece->wire == WIRE_BYTES && wire != WIRE_GROUP) {
        *out_ok = check_packed(w, s, piece);
        return true;
    }
    return false;
}

static const struct shape *message_of(const struct shape_field *f)
{
    const struct shape *s = f->shape->kind == SHAPE_MAP ? f->shape->entry : protobuf_value_shape(f);

    return s->kind == SHAPE_RECORD ? s : NULL;
}

static bool check_unwanted(struct protobuf_wire *w, const struct shape_field *f,
                           const struct protobuf_piece *piece)
{
    const struct shape *message = message_of(f);

    return message == NULL || protobuf_check(w, message, piece->p, piece->end);
}

size_t protobuf_seen_push(struct protobuf_wire *w, size_t count)
{
    size_t base = w->seen_count;

    if (w->seen_cap < base + count) {
        w->seen_cap = 2 * (base + count);
        w->seen = mem_realloc(w->seen, w->seen_cap, sizeof *w->seen);
    }
    for (size_t i = 0; i < count; i++) {
        w->seen[base + i] = (struct protobuf_seen){.first = PIECE_NONE, .last = PIECE_NONE};
    }
    w->seen_count += count;
    return base;
}

static void note(struct protobuf_wire *w, struct protobuf_seen *seen,
                 const struct protobuf_piece *piece, bool keeps_all)
{
    if (seen->first != PIECE_NONE && !keeps_all) {
        w->pieces[seen->first] = *piece; /* the last one counts */
        return;
    }
    w->pieces = mem_grow(w->pieces, &w->piece_cap, w->piece_count, sizeof *w->pieces);
    uint32_t number = (uint32_t) w->piece_count++;
    w->pieces[number] = *piece;
    if (seen->first == PIECE_NONE) {
        seen->first = number;
    } else {
        w->pieces[seen->last].next = number;
    }
    seen->last = number;
}

/* The base of a message of which nothing is wanted. */
#define NOTHING SIZE_MAX

static struct protobuf_seen *place_of(struct protobuf_wire *w, size_t i, const uint32_t *want,
                                      size_t base)
{
    if (base == NOTHING) {
        return NULL;
    }
    uint32_t at = want != NULL ? want[i] : (uint32_t) i;
    return at != PIECE_NONE ? &w->seen[base + at] : NULL;
}

/* What the field had is gone, but must have been valid. */
static bool clear_other(struct protobuf_wire *w, const struct shape_field *other,
                        struct protobuf_seen *seen)
{
    for (uint32_t at = seen->first; at != PIECE_NONE; at = w->pieces[at].next) {
        struct protobuf_piece gone = w->pieces[at];
        if (!check_unwanted(w, other, &gone)) {
            return false;
        }
    }
    *seen = (struct protobuf_seen){.first = PIECE_NONE, .last = PIECE_NONE};
    return true;
}

/* A member of the oneof has come: the others are cleared. Members stand one after the other. */
static bool clear_others(struct protobuf_wire *w, const struct shape *s,
                         const struct shape_field *f, const uint32_t *want, size_t base)
{
    size_t first = (size_t) (f - s->fields);
    struct protobuf_seen *own = place_of(w, first, want, base);

    if (own != NULL && own->first != PIECE_NONE) {
        return true; /* they were when it came before */
    }
    while (first > 0 && s->fields[first - 1].oneof == f->oneof) {
        first--;
    }
    for (size_t i = first; i < s->field_count && s->fields[i].oneof == f->oneof; i++) {
        struct protobuf_seen *seen = place_of(w, i, want, base);
        if (&s->fields[i] != f && seen != NULL && !clear_other(w, &s->fields[i], seen)) {
            return false;
        }
    }
    return true;
}

static bool take_field(struct protobuf_wire *w, const struct shape *s, const struct shape_field *f,
                       const struct protobuf_piece *piece, const uint32_t *want, size_t base)
{
    struct protobuf_seen *seen = place_of(w, (size_t) (f - s->fields), want, base);

    if (f->oneof >= 0 && base != NOTHING && !clear_others(w, s, f, want, base)) {
        return false;
    }
    if (seen == NULL) {
        return check_unwanted(w, f, piece);
    }
    note(w, seen, piece, f->is_repeated || message_of(f) != NULL);
    return true;
}

static bool collect(struct protobuf_wire *w, const struct shape *s, const uint8_t *p,
                    const uint8_t *end, const uint32_t *want, size_t base)
{
    struct protobuf_piece piece;
    struct tag tag = {0};

    while (p < end) {
        bool ok = true;
        if (!read_tag(w, &p, end, &tag) || !take_value(w, &p, end, tag, &piece)) {
            return false;
        }
        const struct shape_field *f = field_numbered(s, tag.number);
        if (f == NULL || !belongs(w, f, &piece, &ok)) {
            continue; /* unknown */
        }
        if (!ok || !take_field(w, s, f, &piece, want, base)) {
            return false;
        }
    }
    return true;
}

bool protobuf_collect(struct protobuf_wire *w, const struct shape *s, const uint8_t *p,
                      const uint8_t *end, const uint32_t *want, size_t base)
{
    if (w->depth == PROTOBUF_DEPTH_MAX) {
        return protobuf_too_deep(w);
    }
    w->depth++;
    bool ok = collect(w, s, p, end, want, base);
    w->depth--;
    return ok;
}

bool protobuf_check(struct protobuf_wire *w, const struct shape *s, const uint8_t *p,
                    const uint8_t *end)
{
    return protobuf_collect(w, s, p, end, NULL, NOTHING);
}

/* Does the piece end where a field of it ends? What is in its fields is checked when they are. */
static bool check_end(struct protobuf_wire *w, const struct protobuf_piece *piece)
{
    const uint8_t *p = piece->p;
    struct protobuf_piece inner;
    struct tag tag = {0};

    while (p < piece->end) {
        if (!read_tag(w, &p, piece->end, &tag) || !take_value(w, &p, piece->end, tag, &inner)) {
            return false;
        }
    }
    return true;
}

static bool check_room(const struct protobuf_wire *w, size_t n)
{
    size_t most = MERGED_LEAST + MERGED_PER_BYTE * (size_t) (w->end - w->begin);

    if (w->merged.used + n <= most) {
        return true;
    }
    error_set(w->err, ERROR_RECORD, "its messages in pieces have more than %zu bytes together",
              most);
    return error_sqlstate(w->err, "54000");
}

bool protobuf_merged(struct protobuf_wire *w, struct protobuf_seen seen, struct str *out)
{
    const struct protobuf_piece *piece = &w->pieces[seen.first];
    size_t n = 0;

    if (piece->next == PIECE_NONE) {
        *out = (struct str){.p = (const char *) piece->p, .n = (size_t) (piece->end - piece->p)};
        return true;
    }
    for (uint32_t at = seen.first; at != PIECE_NONE; at = w->pieces[at].next) {
        if (!check_end(w, &w->pieces[at])) {
            return false;
        }
        n += (size_t) (w->pieces[at].end - w->pieces[at].p);
    }
    if (!check_room(w, n)) {
        return false;
    }
    char *all = arena_alloc(&w->merged, n);
    char *to = all;
    for (uint32_t at = seen.first; at != PIECE_NONE; at = w->pieces[at].next) {
        size_t its = (size_t) (w->pieces[at].end - w->pieces[at].p);
        memcpy(to, w->pieces[at].p, its);
        to += its;
    }
    *out = (struct str){.p = all, .n = n};
    return true;
}

/* ---- values ---- */

static uint64_t fixed(const uint8_t **p, size_t width)
{
    uint64_t n = 0;

    for (size_t i = width; i > 0; i--) {
        n = n << 8 | (*p)[i - 1];
    }
    *p += width;
    return n;
}

uint64_t protobuf_number(const struct shape *s, const uint8_t **p, const uint8_t *end)
{
    uint64_t n = 0;

    if (s->is_fixed_width) {
        bool is_short = s->kind == SHAPE_INT32 || s->kind == SHAPE_UINT32;
        n = fixed(p, is_short ? 4 : 8);
    } else {
        bool whole = protobuf_varint(p, end, &n);
        assert(whole);
    }
    switch (s->kind) {
    case SHAPE_BOOL:
        return n != 0;
    case SHAPE_INT32:
    case SHAPE_ENUM:
        if (s->is_zigzag) {
            uint32_t low = (uint32_t) n;
            return (uint64_t) (int64_t) (int32_t) (low >> 1 ^ (0 - (low & 1)));
        }
        return (uint64_t) (int64_t) (int32_t) (uint32_t) n;
    case SHAPE_UINT32:
        return (uint32_t) n;
    case SHAPE_INT64:
        return s->is_zigzag ? n >> 1 ^ (0 - (n & 1)) : n;
    case SHAPE_UINT64:
    case SHAPE_NULL: /* from here on, no whole number of Protobuf */
    case SHAPE_FLOAT:
    case SHAPE_DOUBLE:
    case SHAPE_NUMBER:
    case SHAPE_STRING:
    case SHAPE_BYTES:
    case SHAPE_FIXED:
    case SHAPE_RECORD:
    case SHAPE_ARRAY:
    case SHAPE_MAP:
    case SHAPE_UNION:
    case SHAPE_ANY:
        break;
    }
    return n;
}

double protobuf_double(const uint8_t **p)
{
    uint64_t n = fixed(p, sizeof n);
    double d;

    memcpy(&d, &n, sizeof d);
    return d;
}

float protobuf_float(const uint8_t **p)
{
    uint32_t n = (uint32_t) fixed(p, sizeof n);
    float f;

    memcpy(&f, &n, sizeof f);
    return f;
}

struct str protobuf_symbol(const struct shape *s, int32_t number, char room[16])
{
    uint32_t low = 0;
    uint32_t high = s->symbol_count;

    while (low < high) { /* to the first of that number: of aliases it is the one declared first */
        uint32_t middle = low + (high - low) / 2;
        if (s->sorted[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < s->symbol_count && s->sorted[low].number == number) {
        return s->symbols[s->sorted[low].place];
    }
    int n = snprintf(room, 16, "%" PRId32, number);
    return (struct str){.p = room, .n = (size_t) n};
}
