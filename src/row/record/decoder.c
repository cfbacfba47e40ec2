/*
 * The two steps of a record: read (documents and sources into cells, then the rules for what the
 * record lacks), and write (cells into a COPY BINARY tuple). Faults get the column's name here. One
 * thread per decoder.
 */
#include "row/record/decoder.h"

#include "base/mem.h"
#include "row/encode/encode.h"
#include "row/envelope/connect.h"
#include "row/envelope/debezium.h"
#include "row/format/json_format.h"
#include "row/mapping/mapping_state.h"
#include "row/record/rest.h"
#include "row/record/shapes.h"
#include "row/record/sources.h"
#include "row/record/written.h"

#include <inttypes.h>
#include <stdlib.h>

struct decoder {
    struct cell *cells;
    size_t cell_cap;
    size_t *chosen; /* per choice: the number of the meaning of the place that was chosen */
    struct format_scratch value;
    struct format_scratch key;
    struct format_scratch item;
    struct buf plain; /* of decoder_elements */
    struct buf headers;
    struct buf rest;
    bool rest_known; /* of this record */
    struct encoder encoder;
    struct format_scratch *parsed; /* one for each string that a mapping parses */
    size_t parsed_cap;
    struct connect *connect; /* made when it is first needed */
    struct error held;       /* what decoder_judge reports */
    bool is_held;
    enum connector connector;  /* that wrote the record */
    const struct message *msg; /* read last */
    enum change_op change;
    enum change_op change_of_record; /* whatever its elements are */
    bool turned;                     /* columns of the row come from before the change */
    bool took;                       /* the condition has held, of this record or of an element */
    struct written written;
    bool completed; /* some columns of the row before the change come from the key: */
    bool *of_key;   /*   these fills */
    size_t of_key_cap;
    struct shapes shapes;
};

struct decoder *decoder_new(void)
{
    struct decoder *d = mem_zalloc(sizeof *d);

    format_scratch_init(&d->value);
    return d;
}

struct decoder *decoder_free(struct decoder *d)
{
    if (d != NULL) {
        format_scratch_done(&d->value);
        format_scratch_done(&d->key);
        format_scratch_done(&d->item);
        for (size_t i = 0; i < d->parsed_cap; i++) {
            format_scratch_done(&d->parsed[i]);
        }
        free(d->parsed);
        connect_free(d->connect);
        encoder_done(&d->encoder);
        buf_done(&d->headers);
        buf_done(&d->rest);
        buf_done(&d->plain);
        shapes_done(&d->shapes);
        written_done(&d->written);
        free(d->of_key);
        free(d->cells);
        free(d->chosen);
        free(d);
    }
    return NULL;
}

void decoder_learn(struct decoder *d, const struct schema_ref *ref, const struct schema *schema,
                   const struct error *fault)
{
    written_learn(&d->written, ref, schema, fault);
}

const struct schema_ref *decoder_lacks(const struct decoder *d)
{
    return d->written.is_lacking ? &d->written.lacked : NULL;
}

/* The number of the cell that fills the column. */
static inline uint32_t place_of(const struct decoder *d, const struct fill *f)
{
    return d->turned && f->before != 0 ? f->before : f->cell;
}

/* ---- reading ---- */

static void make_room(struct decoder *d, const struct mapping *m)
{
    if (d->cell_cap < m->cell_count) {
        d->cells = mem_realloc(d->cells, m->cell_count, sizeof *d->cells);
        d->chosen = mem_realloc(d->chosen, m->cell_count, sizeof *d->chosen);
        d->cell_cap = m->cell_count;
    }
}

/* Does the object begin like one that may be a wrapper? Asked of every record: it is quick. */
static inline bool may_be_wrapper(const struct cell *c)
{
    if (!cell_is_object(c)) {
        return false;
    }
    const char *p = c->text.p + 1;
    while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t') {
        p++;
    }
    return p[0] == '"' && ((p[1] == 's' && p[2] == 'c') || (p[1] == 'p' && p[2] == 'a'));
}

static bool wrapper_fault(const char *what, struct error *err)
{
    error_set(err, ERROR_RECORD,
              "the %s is an object of exactly 'schema' and 'payload', as Kafka Connect writes it, "
              "and no envelope is declared",
              what);
    error_sqlstate(err, "22P02");
    return error_hint(err, "envelope: connect; for change events envelope: debezium");
}

static bool read_key(struct decoder *d, const struct mapping *m, const struct message *msg,
                     struct error *err)
{
    struct format_input in = {.what = "key", .bytes = msg->key, .names = &m->key};
    struct cell *cells = d->cells + mapping_key_cell(m);
    const struct format *format = key_format_schemas(m->key_format);

    if (format != NULL) {
        bool reads = written_open(&d->written, format, &m->key_framing, msg, true, &in, err) &&
                     m->key_format->read(&d->key, &in, cells, err);
        d->encoder.odd_json |= reads && d->key.is_odd;
        return reads;
    }
    bool may_be_wrapped = m->envelope != ENVELOPE_NONE && m->key_format->is_json;
    bool ok = may_be_wrapped ? connect_read_key(d->connect, m, &d->key, msg->key, cells, err)
                             : m->key_format->read(&d->key, &in, cells, err);

    d->encoder.odd_json |= ok && d->key.is_odd;
    bool is_wrapper = ok && m->envelope == ENVELOPE_NONE && m->key_format->is_json &&
                      !m->opens_key && may_be_wrapper(&cells[0]) &&
                      connect_is_wrapper(cells[0].text, &d->plain);
    return ok && (!is_wrapper || wrapper_fault("key", err));
}

/* A fault that counts only if the route takes the record. */
static void hold(struct decoder *d, bool ok)
{
    d->is_held |= !ok;
}

static struct connect *connect_of(struct decoder *d)
{
    d->connect = d->connect != NULL ? d->connect : connect_new();
    return d->connect;
}

/* With its schema, which says all that Connect's does: there is no wrapper. */
static bool read_written(struct decoder *d, const struct mapping *m, const struct message *msg,
                         struct error *err)
{
    struct format_input in = {.what = "value", .names = &m->value};

    if (!written_open(&d->written, m->format, &m->framing, msg, false, &in, err) ||
        !m->format->read(&d->value, &in, d->cells, err)) {
        return false;
    }
    if (!mapping_is_change(m)) {
        return true;
    }
    connect_begin(connect_of(d));
    if (debezium_is_own(d->written.value.shape)) {
        d->change = CHANGE_NONE;
        return true;
    }
    hold(d, debezium_read(m, d->cells, &d->plain, &d->change, &d->held));
    d->connector = debezium_connector(m, d->cells);
    return true;
}

static bool read_wrapped(struct decoder *d, const struct mapping *m, struct str value,
                         struct error *err)
{
    connect_of(d);
    if (!connect_read_value(d->connect, m, &d->value, value, d->cells, err)) {
        return false;
    }
    if (mapping_is_change(m)) {
        hold(d, debezium_read(m, d->cells, &d->plain, &d->change, &d->held));
        d->connector = debezium_connector(m, d->cells);
    }
    return true;
}

static bool read_plain(struct decoder *d, const struct mapping *m, struct str value,
                       struct error *err)
{
    const struct format_input in = {.what = "value", .bytes = value, .names = &m->value};

    if (!m->format->read(&d->value, &in, d->cells, err)) {
        return false;
    }
    bool wraps = m->format->is_json && !m->takes_payload && may_be_wrapper(&d->cells[0]) &&
                 connect_is_wrapper(d->cells[0].text, &d->plain);
    hold(d, !wraps || wrapper_fault("value", &d->held));
    return true;
}

static bool read_value(struct decoder *d, const struct mapping *m, const struct message *msg,
                       struct error *err)
{
    d->change = CHANGE_CREATE;
    d->turned = false;
    if (!m->reads_value) {
        return true;
    }
    bool ok = m->format->wants_schema        ? read_written(d, m, msg, err)
              : m->envelope == ENVELOPE_NONE ? read_plain(d, m, msg->value, err)
                                             : read_wrapped(d, m, msg->value, err);
    d->encoder.odd_json |= ok && d->value.is_odd;
    return ok;
}

/* ---- strings that hold documents ---- */

/* No element has been read yet: what is there is another record's. */
static void forget_element(struct decoder *d, const struct mapping *m)
{
    struct cell *cells = d->cells + mapping_item_cell(m);

    for (size_t i = 0; i < m->item.count; i++) {
        cells[i].kind = CELL_ABSENT;
    }
}

/* The document that the string holds; an object is one already. plain: where the text of a number
 * goes that has none. */
static struct str document_of(const struct cell *c, struct buf *plain)
{
    if (c->kind <= CELL_NULL) {
        return (struct str){0};
    }
    if (c->kind == CELL_INT) {
        buf_clear(plain);
        buf_printf(plain, "%" PRId64, c->number);
        return buf_str(plain);
    }
    return c->kind == CELL_BOOL ? STR_LIT("true") : c->text;
}

/* The object that the root holds, as the second document of the record. */
static bool read_root(struct decoder *d, const struct mapping *m, struct error *err)
{
    struct cell *cells = d->cells + mapping_item_cell(m);
    const struct format_input in = {
        .what = "root",
        .bytes = document_of(&d->cells[m->row], &d->plain),
        .names = &m->item,
    };

    forget_element(d, m);
    bool ok = json_format_read(&d->item, &in, cells, err);
    d->encoder.odd_json |= ok && d->item.is_odd;
    return ok;
}

/* A tree of no names: only the document as a whole is wanted. */
static const struct field lone_root = {.parent = FIELD_NONE};
static const struct fields nothing = {.nodes = (struct field *) (uintptr_t) &lone_root, .count = 1};

static bool parse_one(struct decoder *d, const struct mapping *m, size_t i, struct error *err)
{
    const struct cell *from = &d->cells[m->parsed[i].cell];
    struct cell *to = &d->cells[mapping_parsed_cell(m) + i];
    const struct format_input in = {.what = "string", .bytes = from->text, .names = &nothing};

    if (from->kind != CELL_STRING && from->kind != CELL_BYTES) {
        *to = *from;
        return true;
    }
    if (from->text.n == 0 && m->rules.empty_as_null) {
        to->kind = CELL_NULL;
        return true;
    }
    to->kind = CELL_ABSENT;
    bool ok = json_format_read(&d->parsed[i], &in, to, err);
    d->encoder.odd_json |= ok && d->parsed[i].is_odd;
    return ok;
}

/* Those of the record, or those of the element: a long string is not read again for each element.
 */
static bool parse(struct decoder *d, const struct mapping *m, bool of_item, struct error *err)
{
    if (d->parsed_cap < m->parsed_count) {
        d->parsed = mem_realloc(d->parsed, m->parsed_count, sizeof *d->parsed);
        while (d->parsed_cap < m->parsed_count) {
            d->parsed[d->parsed_cap++] = (struct format_scratch){0};
        }
    }
    for (size_t i = 0; i < m->parsed_count; i++) {
        if (m->parsed[i].of_item == of_item && !parse_one(d, m, i, err)) {
            return false;
        }
    }
    return true;
}

/* In words: why a column got nothing. */
static void say_lacking(const struct decoder *d, const struct mapping *m, const struct fill *f,
                        struct error *err)
{
    const char *end = f->is_key       ? "and the column is part of the key"
                      : f->is_version ? "and only_if_newer compares it"
                                      : "and the column is NOT NULL without a default";
    const struct cell *item = &d->cells[mapping_item_cell(m)];

    if (f->place.origin == ORIGIN_VALUE && d->cells[0].kind == CELL_NULL) {
        error_set(err, ERROR_RECORD, "the value is %s, %s",
                  d->msg->value.p == NULL ? "null (a tombstone)"
                  : m->format->is_json    ? "JSON null"
                                          : "null",
                  end);
    } else if (f->place.origin == ORIGIN_KEY && d->cells[mapping_key_cell(m)].kind == CELL_NULL) {
        error_set(err, ERROR_RECORD, "the key is %s, %s",
                  d->msg->key.p != NULL && m->key_format->is_json ? "JSON null" : "null", end);
    } else if (f->place.origin == ORIGIN_ITEM && item->kind == CELL_NULL) {
        error_set(err, ERROR_RECORD, "the element is null, %s", end);
    } else if (f->place.origin == ORIGIN_SOURCE || f->place.origin == ORIGIN_CHOICE) {
        error_set(err, ERROR_RECORD, "the record has no %s, %s", f->source_text, end);
    } else {
        error_set(err, ERROR_RECORD, "field '%s' is missing %s", f->field_text, end);
    }
}

/* The tree that a cell is a node of, and its first cell; NULL for other cells. */
static const struct fields *tree_of(const struct mapping *m, enum origin origin, size_t *out_first)
{
    switch (origin) {
    case ORIGIN_VALUE:
        *out_first = 0;
        return &m->value;
    case ORIGIN_KEY:
        *out_first = mapping_key_cell(m);
        return &m->key;
    case ORIGIN_ITEM:
        *out_first = mapping_item_cell(m);
        return &m->item;
    case ORIGIN_SOURCE:
    case ORIGIN_CHOICE:
    case ORIGIN_PARSED:
        break;
    }
    return NULL;
}

/* The outermost thing on the path to a missing field that is there, not null, and has no fields; or
 * NULL. */
static const struct cell *in_the_way(const struct decoder *d, const struct mapping *m,
                                     enum origin origin, uint32_t cell)
{
    size_t first;
    const struct fields *tree = tree_of(m, origin, &first);

    if (tree == NULL) {
        return NULL;
    }
    uint32_t node = tree->nodes[cell - first].parent;
    while (node != 0 && d->cells[first + node].kind == CELL_ABSENT) {
        node = tree->nodes[node].parent;
    }
    const struct cell *c = &d->cells[first + node];
    bool fine = c->kind == CELL_ABSENT || c->kind == CELL_NULL ||
                (c->kind == CELL_JSON && *c->text.p == '{');
    return fine ? NULL : c;
}

static bool blocked_fault(struct error *err, const char *path, const struct cell *blocked)
{
    error_set(err, ERROR_RECORD, "field '%s': there is %s where an object should be", path,
              cell_kind_name(blocked));
    return error_sqlstate(err, "22P02");
}

/* Does an empty string stand for NULL here? */
static bool is_empty_null(const struct fill *f, const struct cell *c)
{
    return f->empty_as_null && (c->kind == CELL_STRING || c->kind == CELL_BYTES) && c->text.n == 0;
}

static bool must_not_be_null(const struct fill *f)
{
    return f->column->not_null || f->is_key || f->is_version;
}

/* A column whose cell is absent or null: DEFAULT, NULL or a fault. */
static bool settle_lacking(struct decoder *d, const struct mapping *m, const struct fill *f,
                           omit_mask *omit, struct error *err)
{
    struct cell *c = &d->cells[place_of(d, f)];

    if (c->kind == CELL_ABSENT) {
        const struct cell *blocked = in_the_way(d, m, f->place.origin, place_of(d, f));
        if (blocked != NULL) {
            blocked_fault(err, f->field_text, blocked);
            return mapping_column_fault(err, f->column->name);
        }
        omit_mask bit = f->omit_bit < 0 ? 0 : OMIT_BIT(MIN(f->omit_bit, TARGET_OMIT_MAX));
        bool needed = d->change == CHANGE_CREATE && (m->needed & bit) != 0;
        if (bit != 0 && !needed) {
            *omit |= bit;
            return true;
        }
    }
    if (!must_not_be_null(f)) {
        return true;
    }
    if (c->kind == CELL_ABSENT) {
        say_lacking(d, m, f, err);
    } else {
        error_set(err, ERROR_RECORD, "%s is %s and the column is %s", f->source_text,
                  c->kind == CELL_NULL ? "null" : "empty",
                  f->is_key       ? "part of the key"
                  : f->is_version ? "what only_if_newer compares"
                                  : "NOT NULL");
    }
    error_sqlstate(err, "23502");
    return mapping_column_fault(err, f->column->name);
}

/* The first that is there and not null. With none it is null if one of them is, else absent.
 * Returns which it is. */
static size_t choose_one(struct cell *to, const struct choice *c, const struct cell *cells)
{
    size_t chosen = 0;

    to->kind = CELL_ABSENT;
    for (size_t i = 0; i < c->count && to->kind <= CELL_NULL; i++) {
        const struct cell *from = &cells[c->cells[i]];
        if (from->kind > to->kind) {
            *to = *from;
            chosen = i;
        }
    }
    return chosen;
}

static void choose(struct decoder *d, const struct mapping *m)
{
    struct cell *to = d->cells + mapping_choice_cell(m);

    for (size_t i = 0; i < m->choice_count; i++) {
        size_t chosen = choose_one(&to[i], &m->choices[i], d->cells);
        d->chosen[i] = m->choices[i].first_meaning + chosen;
    }
}

/* A column takes the key as it is, and not as what it wraps. */
static bool check_whole_key(struct decoder *d, struct str key, struct error *err)
{
    const struct format_input in = {.what = "key", .bytes = key, .names = &nothing};
    struct error ignored;
    struct cell c;

    if (key.n == 0 || *key.p != '{' || !json_format_read(&d->item, &in, &c, &ignored) ||
        !connect_is_wrapper(c.text, &d->plain)) {
        return true;
    }
    error_set(err, ERROR_RECORD,
              "the key is an object of exactly 'schema' and 'payload', as Kafka "
              "Connect writes it, and a column takes it as it is");
    error_sqlstate(err, "22P02");
    return error_hint(err, "key_format: json");
}

/* Its fault is held, and a condition finds nothing in it. */
static void forget_key(struct decoder *d, const struct mapping *m)
{
    struct cell *cells = d->cells + mapping_key_cell(m);

    for (size_t i = 0; i < m->key.count; i++) {
        cells[i].kind = CELL_ABSENT;
    }
}

/* Such a record, or element, is an update of a row that is there, and not a new one. */
static void hide_untold(struct decoder *d, const struct mapping *m)
{
    if (m->placeholder_count > 0 && !mapping_is_change(m) &&
        debezium_hide_untold(m, d->cells, &d->plain)) {
        d->change = CHANGE_UPDATE;
    }
}

bool decoder_read(struct decoder *d, const struct mapping *m, const struct message *msg,
                  struct error *err)
{
    make_room(d, m);
    d->msg = msg;
    d->rest_known = false;
    d->took = false;
    d->encoder.odd_json = false;
    d->is_held = false;
    d->connector = CONNECTOR_UNKNOWN;
    d->completed = false;
    written_begin(&d->written);
    if (!read_value(d, m, msg, err)) {
        return false;
    }
    if (m->reads_key && !read_key(d, m, msg, err)) {
        if (d->written.is_lacking) {
            return false;
        }
        if (!d->is_held) {
            d->held = *err;
        }
        forget_key(d, m);
        d->is_held = true;
    }
    sources_fill(m, msg, d->cells, &d->headers);
    if (m->format->wants_schema) {
        written_fill(&d->written, m, d->cells);
    }
    if (m->takes_key && m->envelope != ENVELOPE_NONE && !d->is_held) {
        hold(d, check_whole_key(d, msg->key, &d->held));
    }
    if (m->parses_root && !d->is_held) {
        hold(d, read_root(d, m, &d->held));
    }
    if (m->placeholder_count > 0 && !m->parses_root) {
        forget_element(d, m);
    }
    hide_untold(d, m);
    d->change_of_record = d->change;
    choose(d, m);
    if (m->parsed_count > 0 && !d->is_held) {
        hold(d, parse(d, m, false, &d->held));
    }
    return true;
}

bool decoder_judge(const struct decoder *d, struct error *err)
{
    if (d->is_held) {
        *err = d->held;
    }
    return !d->is_held;
}

bool decoder_has_root(const struct decoder *d, const struct mapping *m, struct error *err)
{
    const struct cell *c = &d->cells[m->row];
    const struct cell *blocked = c->kind == CELL_ABSENT && m->row != 0
                                     ? in_the_way(d, m, ORIGIN_VALUE, m->row)
                                     : NULL;

    if (blocked != NULL) {
        return blocked_fault(err, m->root_text, blocked);
    }
    if (c->kind > CELL_NULL) {
        return true;
    }
    error_set(err, ERROR_RECORD, "there is no row: the root '%s' is %s", m->root_text,
              c->kind == CELL_NULL ? "null" : "missing");
    error_sqlstate(err, "22P02");
    return error_hint(err, "To leave such records out: when: %s is not null", m->root_text);
}

bool decoder_is_tombstone(const struct decoder *d, const struct mapping *m)
{
    bool is_wrapped = m->envelope != ENVELOPE_NONE && d->cells[0].kind == CELL_NULL;

    return d->msg->value.p == NULL || is_wrapped;
}

const struct cell *decoder_cells(const struct decoder *d)
{
    return d->cells;
}

bool decoder_takes(struct decoder *d, const struct mapping *m)
{
    bool takes = m->when.condition == NULL || condition_holds(m->when.condition, d->cells);

    d->took = d->took || takes;
    return takes;
}

bool decoder_took(const struct decoder *d)
{
    return d->took;
}

bool decoder_deletes(const struct decoder *d, const struct mapping *m)
{
    return m->delete_when.condition != NULL && condition_holds(m->delete_when.condition, d->cells);
}

/* ---- elements ---- */

bool decoder_elements(struct decoder *d, const struct mapping *m, struct elements *out,
                      struct error *err)
{
    const struct cell *c = &d->cells[m->array_cell];

    elements_open(out, STR_LIT("[]"), &d->plain);
    if (c->kind == CELL_ABSENT && m->array.number != 0) {
        const struct cell *blocked = in_the_way(d, m, m->array.origin, m->array_cell);
        return blocked == NULL || blocked_fault(err, m->array_text, blocked);
    }
    if (c->kind == CELL_NULL) {
        return true;
    }
    if (c->kind != CELL_JSON || *c->text.p != '[') {
        return error_set(err, ERROR_RECORD, "%s is %s, not an array", m->array_text,
                         cell_kind_name(c));
    }
    elements_open(out, c->text, &d->plain);
    return true;
}

bool decoder_element(struct decoder *d, const struct mapping *m, struct elements *next,
                     uint32_t index, struct error *err)
{
    struct cell element;

    elements_value(next, &element);
    const struct format_input in = {
        .what = "element",
        .bytes = element.kind == CELL_STRING ? element.raw : element.text,
        .names = &m->item,
    };
    if (!json_format_read(&d->item, &in, d->cells + mapping_item_cell(m), err)) {
        return false;
    }
    if (m->has_index) {
        cell_set_int(&d->cells[m->index_cell], index, UNIT_NONE);
    }
    d->change = d->change_of_record; /* and not that of the element before */
    hide_untold(d, m);
    choose(d, m);
    return parse(d, m, true, err);
}

/* ---- change events ---- */

enum change_op decoder_change(const struct decoder *d)
{
    return d->change;
}

/* As the source wrote them: 1.0 and 1.00 differ. */
static bool differ(const struct cell *a, const struct cell *b)
{
    if (a->kind != b->kind) {
        return true;
    }
    if (a->kind == CELL_BOOL) {
        return a->truth != b->truth;
    }
    return a->kind == CELL_INT ? a->number != b->number : !str_eq(a->text, b->text);
}

bool decoder_moves(const struct decoder *d, const struct mapping *m)
{
    bool moves = false;

    for (size_t i = 0; i < m->fill_count; i++) {
        const struct fill *f = &m->fills[i];
        if (!f->is_key || f->before == 0) {
            continue;
        }
        if (d->cells[f->before].kind <= CELL_NULL) {
            return false; /* the source does not report it */
        }
        moves |= differ(&d->cells[f->before], &d->cells[f->cell]);
    }
    return moves;
}

void decoder_turn(struct decoder *d, bool before)
{
    d->turned = before;
}

static void mark_completed(struct decoder *d, const struct mapping *m, size_t fill)
{
    if (d->of_key_cap < m->fill_count) {
        d->of_key = mem_realloc(d->of_key, m->fill_count, sizeof *d->of_key);
        d->of_key_cap = m->fill_count;
    }
    for (size_t i = 0; !d->completed && i < m->fill_count; i++) {
        d->of_key[i] = false;
    }
    d->completed = true;
    d->of_key[fill] = true;
}

bool decoder_complete(struct decoder *d, const struct mapping *m, struct error *err)
{
    bool read = m->reads_key;

    for (size_t i = 0; i < m->fill_count; i++) {
        const struct fill *f = &m->fills[i];
        if (f->in_key == 0 || d->cells[f->before].kind > CELL_NULL) {
            continue;
        }
        if (!read && !read_key(d, m, d->msg, err)) {
            return false;
        }
        read = true;
        d->cells[f->before] = d->cells[mapping_key_cell(m) + f->in_key];
        mark_completed(d, m, i);
    }
    return true;
}

/* ---- rows ---- */

/* Is it one of the columns that a row of that action holds, whatever it omits? */
static bool takes_part(const struct fill *f, enum row_action action)
{
    switch (action) {
    case ROW_DELETE:
        return f->is_key || f->is_version;
    case ROW_SOFT_DELETE:
        return f->is_key || f->is_version || f->is_mark;
    case ROW_TRUNCATE:
        return false;
    case ROW_INSERT:
    case ROW_IGNORE:
    case ROW_UPSERT:
    case ROW_UPDATE:
        break;
    }
    return true;
}

/* The mark of a soft delete: whether, or when, the row was deleted. */
static void set_mark(struct decoder *d, const struct fill *f, enum row_action action)
{
    struct cell *c = &d->cells[f->cell];
    bool deleted = action == ROW_SOFT_DELETE;

    if (f->column->type == TYPE_BOOL) {
        *c = (struct cell){.kind = CELL_BOOL, .truth = deleted};
    } else if (deleted) {
        cell_set_int(c, MAX(d->msg->timestamp_ms, 0), UNIT_MS);
    } else {
        *c = (struct cell){.kind = CELL_NULL};
    }
}

/* Only for records that become rows: in others nothing is unknown. */
static bool settle_rest(struct decoder *d, const struct mapping *m, struct error *err)
{
    struct cell rest;
    size_t root = d->turned ? m->change.before : m->parses_root ? mapping_item_cell(m) : m->row;

    if (!rest_read(m, &d->cells[root], &d->encoder.plain, &d->rest, &rest, err)) {
        return false;
    }
    if (m->unknown == UNKNOWN_COLLECT) {
        d->cells[mapping_source_cell(m) + m->rest.number] = rest;
    }
    d->rest_known = m->explodes; /* it is the same for all elements */
    return true;
}

bool decoder_settle(struct decoder *d, const struct mapping *m, enum row_action action,
                    omit_mask *out_omit, struct error *err)
{
    omit_mask omit = 0;
    bool asks = m->unknown != UNKNOWN_IGNORE && action < ROW_DELETE && !d->rest_known;

    if (asks && !settle_rest(d, m, err)) {
        return false;
    }
    const struct fill *end = m->fills + m->fill_count;
    for (const struct fill *f = m->fills; f < end; f++) {
        const struct cell *c = &d->cells[place_of(d, f)];
        if (f->is_mark) {
            set_mark(d, f, action);
        } else if ((c->kind <= CELL_NULL || is_empty_null(f, c)) && takes_part(f, action) &&
                   !settle_lacking(d, m, f, &omit, err)) {
            return false;
        }
    }
    *out_omit = (omit & OMIT_MIXED) != 0 ? OMIT_MIXED : omit;
    if (omit != 0 && m->target.mixes && !shapes_own(&d->shapes, m->target.id, *out_omit)) {
        *out_omit = OMIT_MIXED;
    }
    return true;
}

/* ---- writing ---- */

/* Ends a mixed row. */
static void write_there(const struct decoder *d, const struct mapping *m, struct buf *out)
{
    size_t bytes = target_there_bytes(&m->target);

    buf_add_u32(out, (uint32_t) bytes);
    size_t begin = out->n;
    buf_fill(out, 0, bytes);
    for (size_t i = 0; i < m->fill_count; i++) {
        const struct fill *f = &m->fills[i];
        if (f->omit_bit >= 0 && d->cells[place_of(d, f)].kind != CELL_ABSENT) {
            out->p[begin + (size_t) f->omit_bit / 8] |= (uint8_t) (1U << f->omit_bit % 8);
        }
    }
}

const struct shape *decoder_shape(const struct decoder *d, const struct mapping *m, uint32_t cell)
{
    uint32_t key = (uint32_t) mapping_key_cell(m);

    if (cell < key) {
        return m->format->wants_schema ? format_node_shape(&d->value, cell) : NULL;
    }
    bool in_key = cell < mapping_item_cell(m) && m->key_format->wants_schema;
    return in_key ? format_node_shape(&d->key, cell - key) : NULL;
}

/* What the value of fill i is beyond what its cell says; NULL: nothing. */
static const struct logical *logical_of(struct decoder *d, const struct mapping *m, size_t i)
{
    const struct fill *f = &m->fills[i];
    size_t meaning = i;
    enum origin origin = f->place.origin;
    uint32_t cell = place_of(d, f);

    if (f->place.origin == ORIGIN_CHOICE) {
        const struct choice *c = &m->choices[f->place.number];
        meaning = d->chosen[f->place.number];
        origin = c->places[meaning - c->first_meaning].origin;
        cell = c->cells[meaning - c->first_meaning];
    } else if (d->completed && d->turned && d->of_key[i]) {
        origin = ORIGIN_KEY;
        cell = (uint32_t) mapping_key_cell(m) + f->in_key;
    }
    bool is_json = origin == ORIGIN_KEY ? m->key_format->is_json : m->format->is_json;
    if (m->envelope != ENVELOPE_NONE && is_json) {
        return connect_logical(d->connect, m, meaning, d->connector);
    }
    return written_logical(&d->written, m, meaning, decoder_shape(d, m, cell));
}

bool decoder_write(struct decoder *d, const struct mapping *m, enum row_action action,
                   omit_mask omit, struct buf *out, struct error *err)
{
    size_t begin = out->n;

    d->encoder.logical = NULL;
    struct encoding v = {.encoder = &d->encoder, .out = out, .err = err, .rules = &m->rules};
    bool all = omit == 0 && action < ROW_DELETE; /* the usual row */
    buf_add_u16(out, (uint16_t) (all ? m->fill_count : target_width(&m->target, action, omit)));
    for (size_t i = 0; i < m->fill_count; i++) {
        const struct fill *f = &m->fills[i];
        if (!all && !target_holds(&m->target, i, action, omit)) {
            continue;
        }
        v.column = f->column;
        v.cell = &d->cells[place_of(d, f)];
        v.unit = f->unit;
        if (m->has_meanings) {
            d->encoder.logical = logical_of(d, m, i);
        }
        if (is_empty_null(f, v.cell)) {
            buf_add_u32(out, UINT32_MAX);
        } else if (!encode_value(&v)) {
            out->n = begin;
            return mapping_column_fault(err, f->column->name);
        }
    }
    if (omit == OMIT_MIXED) {
        write_there(d, m, out);
    }
    return true;
}
