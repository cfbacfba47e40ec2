/*
 * decode: what reading records of one kind costs as JSON and as Avro, and the ratio. The same
 * records, the same fields into the same cells, by the calls that the decoder makes, on one thread.
 *
 *     decode KIND COUNT [PATH]...
 *
 * COUNT records are made once, as JSON; an Avro schema is derived from them, in which every field
 * may be null: whole numbers are long, others double, all texts strings. A PATH has its names with
 * / between them; without any, all fields at the top are wanted. Prints one line of JSON; the time
 * is CPU time. Not installed.
 */
#include "records.h"
#include "tool.h"

#include "base/mem.h"
#include "row/format/format.h"
#include "row/json/elements.h"
#include "row/schema/compile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NSEC_PER_SEC UINT64_C(1000000000)
#define MEASURE_NSEC (NSEC_PER_SEC / 4)
#define ROUNDS 5
#define FIELDS_MAX 64

/* What values at one place are. */
struct type {
    enum cell_kind kind; /* CELL_ABSENT: only null so far; CELL_INT: a whole number */
    bool is_array;
    char *name;
    struct type *parts[FIELDS_MAX]; /* fields, or the elements */
    size_t count;
};

struct run {
    struct buf bytes;
    size_t *ends;
    uint64_t count;
};

static struct type *part_of(struct type *t, struct str name)
{
    for (size_t i = 0; i < t->count; i++) {
        if (str_eq_z(name, t->parts[i]->name)) {
            return t->parts[i];
        }
    }
    if (t->count == FIELDS_MAX) {
        die("more than %d fields", FIELDS_MAX);
    }
    struct type *part = mem_zalloc(sizeof *part);
    part->name = mem_strndup(name.p, name.n);
    t->parts[t->count++] = part;
    return part;
}

static void learn(struct type *t, const struct cell *c)
{
    _cleanup_buf_ struct buf plain = {0};
    struct elements e;
    struct cell value;
    struct str name = STR_LIT("item");

    if (c->kind == CELL_NULL) {
        return;
    }
    bool is_whole = c->kind == CELL_NUMBER && cell_is_whole(c);
    t->kind = is_whole && t->kind != CELL_NUMBER ? CELL_INT : c->kind;
    if (c->kind != CELL_JSON) {
        return;
    }
    t->is_array = cell_is_array(c);
    elements_open(&e, c->text, &plain);
    while (elements_next(&e)) {
        if (!t->is_array) {
            elements_name(&e, &name);
        }
        struct type *part = part_of(t, name);
        elements_value(&e, &value);
        learn(part, &value);
    }
}

static void put_schema(const struct type *t, struct buf *out, int *records)
{
    static const char *const words[] = {
        [CELL_ABSENT] = "null", [CELL_NULL] = "null",     [CELL_BOOL] = "boolean",
        [CELL_INT] = "long",    [CELL_NUMBER] = "double", [CELL_STRING] = "string",
        [CELL_BYTES] = "bytes",
    };

    if (t->kind != CELL_JSON) {
        buf_printf(out, "\"%s\"", words[t->kind]);
        return;
    }
    if (t->is_array) {
        buf_add_z(out, "{\"type\":\"array\",\"items\":");
        put_schema(t->parts[0], out, records);
        buf_add_z(out, "}");
        return;
    }
    buf_printf(out, "{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[", (*records)++);
    for (size_t i = 0; i < t->count; i++) {
        buf_printf(out, "%s{\"name\":\"%s\",\"type\":[\"null\",", i > 0 ? "," : "",
                   t->parts[i]->name);
        put_schema(t->parts[i], out, records);
        buf_add_z(out, "]}");
    }
    buf_add_z(out, "]}");
}

static void put_long(struct buf *out, int64_t n)
{
    uint64_t z = (uint64_t) n << 1 ^ (n < 0 ? UINT64_MAX : 0);

    for (; z > 0x7F; z >>= 7) {
        buf_add_u8(out, (uint8_t) (z | 0x80));
    }
    buf_add_u8(out, (uint8_t) z);
}

static void put_avro(const struct type *t, const struct cell *c, struct buf *out);

static void put_array(const struct type *t, const struct cell *c, struct buf *out)
{
    _cleanup_buf_ struct buf plain = {0};
    struct elements e;
    struct cell value;

    elements_open(&e, c->text, &plain);
    while (elements_next(&e)) {
        elements_value(&e, &value);
        put_long(out, 1);
        put_avro(t->parts[0], &value, out);
    }
    put_long(out, 0);
}

static void put_record(const struct type *t, const struct cell *c, struct buf *out)
{
    _cleanup_buf_ struct buf plain = {0};
    struct cell value;

    for (size_t i = 0; i < t->count; i++) {
        bool found = elements_find(c->text, t->parts[i]->name, &plain, &value);
        if (!found || value.kind == CELL_NULL) {
            put_long(out, 0);
            continue;
        }
        put_long(out, 1);
        put_avro(t->parts[i], &value, out);
    }
}

static void put_avro(const struct type *t, const struct cell *c, struct buf *out)
{
    if (t->kind == CELL_INT) {
        put_long(out, c->number);
    } else if (t->kind == CELL_NUMBER) {
        double d = strtod(c->text.p, NULL);
        buf_add(out, &d, sizeof d);
    } else if (t->kind == CELL_BOOL) {
        buf_add_u8(out, c->truth ? 1 : 0);
    } else if (t->kind == CELL_STRING) {
        put_long(out, (int64_t) c->text.n);
        buf_add_str(out, c->text);
    } else if (t->is_array) {
        put_array(t, c, out);
    } else {
        put_record(t, c, out);
    }
}

static void want(struct fields *f, const char *path)
{
    uint32_t node = 0;

    for (const char *p = path;; p++) {
        const char *end = strchrnul(p, '/');
        node = fields_add(f, node, (struct str){.p = p, .n = (size_t) (end - p)});
        p = end;
        if (*p == '\0') {
            break;
        }
    }
    f->nodes[node].is_whole = true;
}

static uint64_t cpu_nsec(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t) t.tv_sec * NSEC_PER_SEC + (uint64_t) t.tv_nsec;
}

/* Nanoseconds for one record. */
static double measure(enum format_id format, struct format_scratch *s, struct format_input *in,
                      const struct run *r, struct cell *cells)
{
    struct error err;
    uint64_t began = cpu_nsec();
    uint64_t read = 0;
    uint64_t spent;

    do {
        size_t at = 0;
        for (uint64_t i = 0; i < r->count; i++) {
            in->bytes = (struct str){.p = (const char *) r->bytes.p + at, .n = r->ends[i] - at};
            at = r->ends[i];
            if (!format_of(format)->read(s, in, cells, &err)) {
                die("record %" PRIu64 ": %s", i + 1, err.text);
            }
        }
        read += r->count;
        spent = cpu_nsec() - began;
    } while (spent < MEASURE_NSEC);
    return (double) spent / (double) read;
}

static void end_record(struct run *r)
{
    r->ends = mem_realloc(r->ends, r->count + 1, sizeof *r->ends);
    r->ends[r->count++] = r->bytes.n;
}

int main(int argc, char **argv)
{
    static struct record record;
    struct run json = {0};
    struct run avro = {0};
    struct type root = {0};
    struct format_scratch s = {0};
    struct fields f;
    struct error err;

    if (argc < 3) {
        fprintf(stderr, "usage: decode KIND COUNT [PATH]...\n");
        return 2;
    }
    const struct record_kind *kind = record_kind_find(argv[1]);
    uint64_t count = number_of(argv[2], 1, 1000000);
    for (uint64_t i = 0; i < count; i++) {
        kind->make(&record, i + 1);
        learn(&root, &(struct cell){.kind = CELL_JSON,
                                    .text = {.p = record.value, .n = record.value_size}});
    }
    for (uint64_t i = 0; i < count; i++) {
        kind->make(&record, i + 1);
        buf_add(&json.bytes, record.value, record.value_size);
        end_record(&json);
        put_avro(
            &root,
            &(struct cell){.kind = CELL_JSON, .text = {.p = record.value, .n = record.value_size}},
            &avro.bytes);
        end_record(&avro);
    }
    struct buf text = {0};
    int records = 0;
    put_schema(&root, &text, &records);
    struct format_input in = {.what = "value", .names = &f};
    if (!schema_compile(SCHEMA_AVRO, buf_str(&text), NULL, 0, &in.schema, &err)) {
        die("%s", err.text);
    }
    in.shape = schema_root(in.schema, 0);
    fields_init(&f);
    for (int i = 3; i < argc; i++) {
        want(&f, argv[i]);
    }
    for (size_t i = 0; i < root.count && argc == 3; i++) {
        want(&f, root.parts[i]->name);
    }
    fields_seal(&f);
    struct cell *cells = mem_array(f.count, sizeof *cells);
    double best[2] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 2; i++) {
            double ns = measure(i == 0 ? FORMAT_JSON : FORMAT_AVRO, &s, &in, i == 0 ? &json : &avro,
                                cells);
            best[i] = round == 0 || ns < best[i] ? ns : best[i];
        }
    }
    printf("{\"records\": %" PRIu64 ", \"json_bytes\": %.1f, \"avro_bytes\": %.1f"
           ", \"json_ns\": %.1f, \"avro_ns\": %.1f, \"ratio\": %.3f}\n",
           count, (double) json.bytes.n / (double) count, (double) avro.bytes.n / (double) count,
           best[0], best[1], best[1] / best[0]);
    return 0;
}
