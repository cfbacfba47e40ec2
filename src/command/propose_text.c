/* See propose_text.h. Main thread. */
#include "command/propose_text.h"

#include "base/ascii.h"
#include "base/mem.h"
#include "command/escape.h"
#include "row/path/path.h"

#include <inttypes.h>
#include <string.h>

#define TABLE_NAME_MAX 63
#define NAME_WIDTH_MAX 32
#define TYPE_WIDTH_MAX 18 /* "double precision" and a comma */

/* What is decided of the route and its table. */
struct design {
    const struct proposal *p;
    const char *topic;
    const struct proposal_field *fields;
    size_t field_count;
    size_t left_out;
    size_t key_count;
    bool upserts;
    bool has_places; /* _partition and _offset */
    char table[TABLE_NAME_MAX + 1];
};

/* ---- names ---- */

/* Of Debezium's topics, server.schema.table, the last part; else the name of the topic. */
static void name_table(struct design *d)
{
    const char *dot = strrchr(d->topic, '.');
    bool is_event = proposal_envelope(d->p) == PROPOSAL_DEBEZIUM;
    const char *from = is_event && dot != NULL && dot[1] != '\0' ? dot + 1 : d->topic;
    size_t n = 0;

    for (; *from != '\0' && n < TABLE_NAME_MAX; from++) {
        char c = ascii_lower(*from);
        bool is_plain = (c >= 'a' && c <= 'z') || ascii_is_digit(c);
        d->table[n++] = is_plain ? c : '_';
    }
    d->table[n] = '\0';
}

/* Does a terminal only show it? */
static bool is_clean(struct str s)
{
    _cleanup_buf_ struct buf shown = {0};

    escape_add(&shown, s, 0);
    return str_eq(buf_str(&shown), s);
}

/* The code point of a character of n bytes, in well-formed UTF-8. */
static uint32_t code_point(const char *p, size_t n)
{
    static const uint8_t masks[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t point = (uint8_t) *p & masks[n];

    for (size_t i = 1; i < n; i++) {
        point = point << 6 | ((uint8_t) p[i] & 0x3F);
    }
    return point;
}

/* A quoted identifier; one that a terminal would not only show has all but letters, digits and
 * signs of ASCII by their numbers. */
static void add_identifier(struct buf *out, const char *name)
{
    struct str rest = str_of(name);
    bool is_plain = is_clean(rest);

    buf_add_z(out, is_plain ? "\"" : "U&\"");
    while (rest.n > 0) {
        size_t n = MAX(str_utf8_char(rest), 1);
        bool is_ascii = n == 1 && *rest.p >= ' ' && *rest.p < 0x7f;
        if (*rest.p == '"' || (*rest.p == '\\' && !is_plain)) {
            buf_add(out, rest.p, 1);
        }
        if (is_plain || is_ascii) {
            buf_add(out, rest.p, n);
        } else {
            buf_printf(out, "\\+%06" PRIx32, code_point(rest.p, n));
        }
        rest = (struct str){.p = rest.p + n, .n = rest.n - n};
    }
    buf_add_z(out, "\"");
}

/* Would YAML, or this comment, take the text for something else? */
static bool is_plain_word(struct str s)
{
    static const char *const others[] = {"y",   "n",    "yes",   "no",  "on",
                                         "off", "true", "false", "null"};

    if (s.n == 0 || ascii_is_digit(s.p[0]) || s.p[0] == '-' || s.p[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        char c = ascii_lower(s.p[i]);
        if (!(c >= 'a' && c <= 'z') && !ascii_is_digit(c) && c != '_' && c != '-' && c != '.') {
            return false;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (ascii_is_word(s, others[i])) {
            return false;
        }
    }
    return true;
}

/* A text in YAML. A slash is escaped, for a comment of SQL begins and ends with one. */
static void add_yaml(struct buf *out, struct str s)
{
    _cleanup_buf_ struct buf quoted = {0};

    if (is_plain_word(s)) {
        buf_add_str(out, s);
        return;
    }
    escape_add(&quoted, s, '"');
    buf_add_z(out, "\"");
    for (size_t i = 0; i < quoted.n; i++) {
        buf_add_z(out, quoted.p[i] == '/' ? "\\" : "");
        buf_add(out, &quoted.p[i], 1);
    }
    buf_add_z(out, "\"");
}

/* ---- the table ---- */

static void pad(struct buf *out, size_t from, size_t width)
{
    size_t n = out->n - from;

    buf_fill(out, ' ', n < width ? width - n : 0);
}

static size_t name_width(const struct design *d)
{
    size_t width = d->has_places ? sizeof("\"_partition\"") - 1 : 0;

    for (size_t i = 0; i < d->field_count; i++) {
        width = MAX(width, strlen(d->fields[i].name) + 2);
    }
    return MIN(width, NAME_WIDTH_MAX);
}

/* "99.8 %, null in 3: " */
static void say_share(const struct design *d, const struct proposal_field *f, struct buf *out)
{
    size_t rows = proposal_rows(d->p);
    size_t present = MIN(f->present, rows);

    if (present == rows) {
        buf_add_z(out, "100 %");
    } else {
        size_t tenths = present * 1000 / rows;
        buf_printf(out, "%zu.%zu %%", tenths / 10, tenths % 10);
    }
    if (f->nulls > 0 && f->nulls < f->present) {
        buf_printf(out, ", null in %zu", f->nulls);
    }
    buf_add_z(out, ": ");
}

/* What counts for Debezium's numbers nobody knows here; the route reads them by its own rules. */
static void type_of(const struct design *d, const struct proposal_field *f,
                    struct proposed_type *out, struct buf *why)
{
    proposal_type(f, out, why);
    if (proposal_envelope(d->p) == PROPOSAL_DEBEZIUM && out->unit != UNIT_NONE) {
        *out = (struct proposed_type){.type = "bigint"};
        buf_add_z(why, "; the source's type is the one to take");
    }
}

static void add_column(const struct design *d, const char *name, const char *type, bool not_null,
                       bool is_last, const char *why, struct buf *out)
{
    size_t begin = out->n + 4;

    buf_add_z(out, "    ");
    add_identifier(out, name);
    pad(out, begin, name_width(d));
    buf_add_z(out, "  ");
    begin = out->n;
    buf_printf(out, "%s%s%s", type, not_null ? " NOT NULL" : "", is_last ? "" : ",");
    pad(out, begin, TYPE_WIDTH_MAX);
    buf_printf(out, "  -- %s\n", why);
}

static void add_key(const struct design *d, struct buf *out)
{
    const char *comma = "";

    buf_add_z(out, "    PRIMARY KEY (");
    for (size_t i = 0; i < d->field_count; i++) {
        if (proposal_is_key(d->p, &d->fields[i])) {
            buf_add_z(out, comma);
            add_identifier(out, d->fields[i].name);
            comma = ", ";
        }
    }
    buf_add_z(out, d->has_places ? "\"_partition\", \"_offset\")\n" : ")\n");
}

static void add_table(const struct design *d, struct buf *out)
{
    bool has_key = d->has_places || d->key_count > 0;

    buf_add_z(out, "CREATE TABLE public.");
    add_identifier(out, d->table);
    buf_add_z(out, " (\n");
    for (size_t i = 0; i < d->field_count; i++) {
        _cleanup_buf_ struct buf why = {0};
        struct proposed_type type;
        const struct proposal_field *f = &d->fields[i];
        bool is_key = proposal_is_key(d->p, f);

        say_share(d, f, &why);
        type_of(d, f, &type, &why);
        buf_add_z(&why, is_key ? "; the record's key" : "");
        add_column(d, f->name, type.type, is_key, !has_key && i + 1 == d->field_count,
                   buf_cstr(&why), out);
    }
    if (d->has_places) {
        add_column(d, "_partition", "integer", true, false, "where the record is in Kafka, so that",
                   out);
        add_column(d, "_offset", "bigint", true, false, "pgsinkd verify --content can find it",
                   out);
    }
    if (has_key) {
        add_key(d, out);
    }
    buf_add_z(out, ");\n");
}

/* ---- the route ---- */

static const char *unit_word(enum time_unit unit)
{
    static const char *const words[] = {
        [UNIT_S] = "s",
        [UNIT_MS] = "ms",
        [UNIT_US] = "us",
        [UNIT_NS] = "ns",
    };

    return words[unit];
}

static void add_path(const struct design *d, const char *name, struct buf *out)
{
    _cleanup_buf_ struct buf text = {0};
    struct path path = {.root = PATH_VALUE};

    if (proposal_envelope(d->p) == PROPOSAL_DEBEZIUM) {
        path_add(&path, STR_LIT("after"));
    }
    path_add(&path, str_of(name));
    path_print(&path, true, &text);
    path_done(&path);
    add_yaml(out, buf_str(&text));
}

static void add_entries(const struct design *d, struct buf *out)
{
    const char *head = "    columns:\n";

    for (size_t i = 0; i < d->field_count; i++) {
        _cleanup_buf_ struct buf why = {0};
        struct proposed_type type;
        type_of(d, &d->fields[i], &type, &why);
        if (type.unit == UNIT_NONE && !type.parses) {
            continue;
        }
        buf_printf(out, "%s      ", head);
        add_yaml(out, str_of(d->fields[i].name));
        buf_add_z(out, ": {from: ");
        add_path(d, d->fields[i].name, out);
        if (type.parses) {
            buf_add_z(out, ", parse: json}\n");
        } else {
            buf_printf(out, ", unit: %s}\n", unit_word(type.unit));
        }
        head = "";
    }
}

static void add_route(const struct design *d, struct buf *out)
{
    static const char *const envelopes[] = {
        [PROPOSAL_PLAIN] = "",
        [PROPOSAL_CONNECT] = "    envelope: connect\n",
        [PROPOSAL_DEBEZIUM] = "    envelope: debezium\n",
    };
    bool is_event = proposal_envelope(d->p) == PROPOSAL_DEBEZIUM;

    buf_add_z(out, "/* The route for it:\n\nroutes:\n  - topics: [");
    add_yaml(out, str_of(d->topic));
    buf_add_z(out, "]\n    table: public.");
    if (is_plain_word(str_of(d->table))) {
        buf_add_z(out, d->table);
    } else {
        buf_printf(out, "\"%s\"", d->table);
    }
    buf_printf(out, "\n%s", envelopes[proposal_envelope(d->p)]);
    if (d->upserts && !is_event) {
        buf_printf(out, "    mode: upsert\n%s",
                   proposal_tombstones(d->p) > 0 ? "    delete: tombstone\n" : "");
    }
    add_entries(d, out);
    buf_add_z(out, "\n*/\n");
}

static bool has_field(const struct design *d, const char *name)
{
    for (size_t i = 0; i < d->field_count; i++) {
        if (strcmp(d->fields[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- what is said before them ---- */

static void add_head(const struct design *d, struct buf *out)
{
    size_t n = proposal_records(d->p);
    size_t rows = proposal_rows(d->p);

    buf_printf(out, "-- From the newest %zu record%s of %s: %zu row%s", n, n == 1 ? "" : "s",
               d->topic, rows, rows == 1 ? "" : "s");
    if (proposal_tombstones(d->p) > 0) {
        buf_printf(out, ", %zu tombstones", proposal_tombstones(d->p));
    }
    if (proposal_others(d->p) > 0) {
        buf_printf(out, ", %zu that are something else", proposal_others(d->p));
    }
    buf_add_z(out,
              ". Nothing was executed.\n"
              "-- Other records may hold something else: look at each line before you use it.\n");
    if (d->left_out > 0) {
        buf_printf(out,
                   "-- Left out: fields with names that no column can have, or that are too "
                   "many (%zu times).\n",
                   d->left_out);
    }
    if (proposal_envelope(d->p) == PROPOSAL_DEBEZIUM && d->key_count == 0) {
        buf_add_z(out, "-- The keys of the records do not name their rows, and change events need "
                       "a PRIMARY KEY: add one.\n");
    }
    buf_add_z(out, "\n");
}

void propose_text(const struct proposal *p, const char *topic, struct buf *out)
{
    struct design d = {.p = p, .topic = topic};

    d.fields = proposal_fields(p, &d.field_count, &d.left_out);
    for (size_t i = 0; i < d.field_count; i++) {
        d.key_count += proposal_is_key(p, &d.fields[i]);
    }
    d.upserts = d.key_count > 0 || proposal_envelope(p) == PROPOSAL_DEBEZIUM;
    d.has_places = !d.upserts && !has_field(&d, "_partition") && !has_field(&d, "_offset");
    name_table(&d);
    add_head(&d, out);
    add_table(&d, out);
    buf_add_z(out, "\n");
    add_route(&d, out);
}
