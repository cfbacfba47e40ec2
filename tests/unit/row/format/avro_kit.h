/* Avro by hand, for tests: schemas with ' for ", bytes, a tree of paths, and what is read. */
#ifndef UNIT_ROW_FORMAT_AVRO_KIT_H
#define UNIT_ROW_FORMAT_AVRO_KIT_H

#include "row/format/format.h"
#include "row/schema/compile.h"

#include "row/kit.h"

enum { AVRO_CELLS = 64 };

struct avro_rig {
    const struct schema *schema;
    struct fields f;
    struct format_scratch s;
    struct cell cells[AVRO_CELLS];
    struct buf bytes; /* in a block of their own: reading beyond them is seen */
    struct error err;
    bool any;
};

static inline const struct schema *avro_schema(const char *text)
{
    _cleanup_buf_ struct buf b = {0};
    const struct schema *s = NULL;
    struct error err;

    for (const char *p = text; *p != '\0'; p++) {
        buf_add_u8(&b, *p == '\'' ? '"' : (uint8_t) *p);
    }
    if (!schema_compile(SCHEMA_AVRO, buf_str(&b), NULL, 0, &s, &err)) {
        print_error("%s\n", err.text);
        fail();
    }
    return s;
}

/* A path with / between its names. Paths that begin with ! are columns. */
static inline uint32_t avro_want(struct avro_rig *r, const char *path)
{
    bool is_column = *path == '!';
    const char *p = path + (is_column ? 1 : 0);
    uint32_t node = 0;

    while (*p != '\0') {
        const char *end = strchrnul(p, '/');
        struct str name = {.p = p, .n = (size_t) (end - p)};
        bool is_last = *end == '\0';
        node = is_last && is_column ? fields_add_row(&r->f, node, name)
                                    : fields_add(&r->f, node, name);
        p = end + (is_last ? 0 : 1);
    }
    r->f.nodes[node].is_whole = true;
    return node;
}

static inline void avro_begin(struct avro_rig *r, const char *schema, enum name_policy policy)
{
    *r = (struct avro_rig){.schema = avro_schema(schema)};
    fields_init(&r->f);
    r->f.policy = policy;
}

static inline void avro_done(struct avro_rig *r)
{
    schema_drop(r->schema);
    fields_done(&r->f);
    format_scratch_done(&r->s);
    buf_done(&r->bytes);
}

static inline void avro_put_long(struct avro_rig *r, int64_t n)
{
    uint64_t z = (uint64_t) n << 1 ^ (n < 0 ? UINT64_MAX : 0);

    for (; z > 0x7F; z >>= 7) {
        buf_add_u8(&r->bytes, (uint8_t) (z | 0x80));
    }
    buf_add_u8(&r->bytes, (uint8_t) z);
}

static inline void avro_put_text(struct avro_rig *r, const char *text)
{
    avro_put_long(r, (int64_t) strlen(text));
    buf_add_z(&r->bytes, text);
}

static inline void avro_put(struct avro_rig *r, const void *p, size_t n)
{
    buf_add(&r->bytes, p, n);
}

/* Reads n of the bytes, in memory of exactly that size, which `out_block` is. */
static inline bool avro_try(struct avro_rig *r, size_t n, char **out_block)
{
    if (r->f.slots == NULL) {
        fields_seal(&r->f);
    }
    *out_block = mem_alloc(n);
    if (n > 0) {
        memcpy(*out_block, r->bytes.p, n);
    }
    const struct format_input in = {
        .what = "value",
        .bytes = {.p = *out_block, .n = n},
        .names = &r->f,
        .any = r->any,
        .schema = r->schema,
        .shape = schema_root(r->schema, 0),
    };
    return format_of(FORMAT_AVRO)->read(&r->s, &in, r->cells, &r->err);
}

/* What a cell says, in words; static memory. */
static inline const char *avro_words(const struct cell *c)
{
    static char text[2048];

    switch (c->kind) {
    case CELL_ABSENT:
        return "absent";
    case CELL_NULL:
        return "null";
    case CELL_BOOL:
        return c->truth ? "true" : "false";
    case CELL_INT:
        snprintf(text, sizeof text, "int %lld/%d", (long long) c->number, (int) c->unit);
        return text;
    case CELL_NUMBER:
        snprintf(text, sizeof text, "number " STR_FMT, STR_ARG(c->text));
        return text;
    case CELL_STRING:
        snprintf(text, sizeof text, "'" STR_FMT "'", STR_ARG(c->text));
        return text;
    case CELL_JSON:
        snprintf(text, sizeof text, STR_FMT, STR_ARG(c->text));
        return text;
    case CELL_BYTES:
        snprintf(text, sizeof text, "bytes %zu", c->text.n);
        for (size_t i = 0; i < c->text.n; i++) {
            size_t at = strlen(text);
            snprintf(text + at, sizeof text - at, " %02x", (uint8_t) c->text.p[i]);
        }
        return text;
    }
    return "?";
}

static inline void avro_expect(struct avro_rig *r, uint32_t node, const char *want)
{
    kit_assert_text(avro_words(&r->cells[node]), want);
}

/* All bytes are read; `block` must be freed after the cells have been looked at. */
static inline char *avro_read(struct avro_rig *r)
{
    char *block;

    if (!avro_try(r, r->bytes.n, &block)) {
        print_error("%s\n", r->err.text);
        fail();
    }
    return block;
}

static inline void avro_expect_fault(struct avro_rig *r, const char *want)
{
    char *block;

    assert_false(avro_try(r, r->bytes.n, &block));
    kit_assert_text(r->err.text, want);
    assert_int_equal(r->err.class, ERROR_RECORD);
    assert_int_equal(strlen(r->err.sqlstate), 5);
    free(block);
}

#endif
