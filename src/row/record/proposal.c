/* See proposal.h. One thread. */
#include "row/record/proposal.h"

#include "base/ascii.h"
#include "base/mem.h"
#include "row/json/document.h"
#include "row/json/elements.h"
#include "row/record/guess.h"
#include "row/text/decimal.h"
#include "row/text/moment.h"

#include <stdlib.h>

#define COLUMN_NAME_MAX 63

struct proposal {
    struct guesser *guesser;
    struct document *document;
    struct document *key_document;
    struct buf plain;
    struct buf key_plain;
    struct buf scratch;
    struct proposal_field *fields;
    size_t field_count;
    size_t field_cap;
    size_t left_out;
    size_t records;
    size_t rows;
    size_t tombstones;
    size_t others;
    size_t key_fields; /* of each key that is an object; 1: each key is one value */
    bool keys_differ;  /* a record has no key, or one of another form */
    enum proposal_envelope envelope;
};

struct proposal *proposal_new(void)
{
    struct proposal *p = mem_zalloc(sizeof *p);

    p->guesser = guesser_new();
    p->document = document_new();
    p->key_document = document_new();
    return p;
}

struct proposal *proposal_free(struct proposal *p)
{
    if (p != NULL) {
        for (size_t i = 0; i < p->field_count; i++) {
            free(p->fields[i].name);
        }
        free(p->fields);
        guesser_free(p->guesser);
        document_free(p->document);
        document_free(p->key_document);
        buf_done(&p->plain);
        buf_done(&p->key_plain);
        buf_done(&p->scratch);
        free(p);
    }
    return NULL;
}

/* ---- the fields ---- */

static bool can_be_column(struct str name)
{
    return name.n > 0 && name.n <= COLUMN_NAME_MAX && memchr(name.p, '\0', name.n) == NULL;
}

/* NULL: there are too many, or no column can have this name. */
static struct proposal_field *field_of(struct proposal *p, struct str name)
{
    for (size_t i = 0; i < p->field_count; i++) {
        if (str_eq_z(name, p->fields[i].name)) {
            return &p->fields[i];
        }
    }
    if (p->field_count == PROPOSAL_FIELDS_MAX || !can_be_column(name)) {
        return NULL;
    }
    p->fields = mem_grow(p->fields, &p->field_cap, p->field_count, sizeof *p->fields);
    struct proposal_field *f = &p->fields[p->field_count++];
    *f = (struct proposal_field){
        .name = mem_strndup(name.p, name.n),
        .forms = FORM_ALL,
        .least = INT64_MAX,
        .most = INT64_MIN,
    };
    return f;
}

/* A fraction, an exponent, or a whole number? */
static bool is_whole(const struct cell *c, int64_t *out)
{
    if (cell_is_whole(c)) {
        *out = c->number;
        return true;
    }
    return str_to_i64(c->text, out);
}

static void count_number(struct proposal_field *f, const struct cell *c)
{
    struct decimal d;
    int64_t n;

    if (is_whole(c, &n)) {
        f->wholes++;
        f->least = MIN(f->least, n);
        f->most = MAX(f->most, n);
    } else if (memchr(c->text.p, 'e', c->text.n) != NULL ||
               memchr(c->text.p, 'E', c->text.n) != NULL) {
        f->floats++;
    } else if (decimal_scan(c->text, &d) && d.frac.n == 0) {
        f->wholes++;
        f->is_huge = true;
    } else {
        f->fractions++;
    }
}

static bool is_uuid(struct str s)
{
    if (s.n != 36) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash ? s.p[i] != '-' : ascii_hex(s.p[i]) < 0) {
            return false;
        }
    }
    return true;
}

/* 2026-01-31, as people write it; what else moment_parse takes may be a number or a code. */
static bool begins_with_day(struct str s)
{
    return s.n >= 10 && s.p[4] == '-' && s.p[7] == '-';
}

static unsigned moment_form(struct str s, struct buf *scratch)
{
    struct moment m;

    if (begins_with_day(s) && moment_parse(s, scratch, &m) == MOMENT_OK) {
        if (memchr(s.p, ':', s.n) == NULL) {
            return FORM_DATE;
        }
        return m.zoned ? FORM_TIMESTAMPTZ : FORM_TIMESTAMP;
    }
    bool is_time = s.n >= 5 && s.p[2] == ':' && moment_parse_time(s, scratch, &m) == MOMENT_OK;
    return is_time && !m.zoned ? FORM_TIME : 0;
}

static void count_text(struct proposal *p, struct proposal_field *f, struct str text)
{
    struct decimal d;
    size_t chars = 0;
    unsigned forms = moment_form(text, &p->scratch);

    (void) str_utf8(text, &chars);
    forms |= is_uuid(text) ? FORM_UUID : 0;
    forms |= decimal_scan(text, &d) ? FORM_NUMBER : 0;
    forms |= guess_is_document(text) ? FORM_DOCUMENT : 0;
    f->forms &= forms;
    f->longest = MAX(f->longest, chars);
    f->texts++;
}

static unsigned element_bit(const struct cell *c)
{
    int64_t n;

    switch (c->kind) {
    case CELL_NULL:
        return 0;
    case CELL_BOOL:
        return HOLDS_TRUTHS;
    case CELL_STRING:
        return HOLDS_TEXTS;
    case CELL_NUMBER:
    case CELL_INT:
        return is_whole(c, &n) ? HOLDS_WHOLES : HOLDS_NUMBERS;
    case CELL_ABSENT:
    case CELL_JSON:
    case CELL_BYTES:
        break;
    }
    return HOLDS_MORE;
}

static void count_array(struct proposal *p, struct proposal_field *f, struct str array)
{
    struct elements e;
    struct cell c;

    f->arrays++;
    elements_open(&e, array, &p->scratch);
    while (elements_next(&e)) {
        elements_value(&e, &c);
        f->elements |= element_bit(&c);
    }
}

static void count_value(struct proposal *p, struct proposal_field *f, const struct cell *c)
{
    f->present++;
    switch (c->kind) {
    case CELL_NULL:
        f->nulls++;
        break;
    case CELL_BOOL:
        f->truths++;
        break;
    case CELL_STRING:
        count_text(p, f, c->text);
        break;
    case CELL_JSON:
        if (cell_is_array(c)) {
            count_array(p, f, c->text);
        } else {
            f->objects++;
        }
        break;
    case CELL_NUMBER:
    case CELL_INT:
        count_number(f, c);
        break;
    case CELL_ABSENT:
    case CELL_BYTES:
        break;
    }
}

/* ---- keys ---- */

static bool is_same(const struct cell *a, const struct cell *b)
{
    bool are_scalars = a->kind != CELL_JSON && b->kind != CELL_JSON && a->kind > CELL_NULL &&
                       b->kind > CELL_NULL;

    if (!are_scalars || a->kind == CELL_BOOL || b->kind == CELL_BOOL) {
        return false;
    }
    return str_eq(a->text, b->text);
}

/* What the records' keys are has to be the same for all. */
static void expect_key_of(struct proposal *p, size_t fields)
{
    if (p->key_fields == 0) {
        p->key_fields = fields;
    }
    p->keys_differ |= fields != p->key_fields;
}

static void count_key_field(struct proposal *p, struct str row, const char *name,
                            const struct cell *value)
{
    struct cell c;
    bool is_there = elements_find(row, name, &p->plain, &c) && is_same(&c, value);
    struct proposal_field *f = is_there ? field_of(p, str_of(name)) : NULL;

    if (f != NULL) {
        f->keys++;
    }
}

static void count_key_object(struct proposal *p, struct str row, struct str object)
{
    struct elements e;
    struct cell c;
    struct str name;
    size_t n = 0;

    elements_open(&e, object, &p->key_plain);
    while (elements_next(&e)) {
        _cleanup_mem_ char *text = NULL;
        elements_name(&e, &name);
        text = mem_strndup(name.p, name.n);
        elements_value(&e, &c);
        count_key_field(p, row, text, &c);
        n++;
    }
    expect_key_of(p, n);
}

static void count_key_value(struct proposal *p, struct str row, const struct cell *key)
{
    struct elements e;
    struct cell c;
    struct str name;

    elements_open(&e, row, &p->plain);
    while (elements_next(&e)) {
        elements_name(&e, &name);
        struct proposal_field *f = field_of(p, name);
        elements_value(&e, &c);
        if (f != NULL && is_same(&c, key)) {
            f->keys++;
        }
    }
    expect_key_of(p, 1);
}

/* The document as a whole; false: it is none. */
static bool read_document(struct document *d, struct str text, struct cell *out)
{
    struct fields names;
    struct error err;

    fields_init(&names);
    fields_seal(&names);
    bool ok = text.p != NULL && document_read(d, text, &names, out, &err);
    fields_done(&names);
    return ok;
}

static void count_key(struct proposal *p, struct str row, struct str key)
{
    struct cell c = {.kind = CELL_STRING, .text = key};
    struct cell payload;
    struct cell document;

    if (key.p == NULL || !str_utf8(key, NULL)) {
        p->keys_differ = true;
        return;
    }
    if (read_document(p->key_document, key, &document)) {
        c = document;
    }
    bool is_wrapped = cell_is_object(&c) &&
                      elements_find(c.text, "schema", &p->key_plain, &payload) &&
                      elements_find(c.text, "payload", &p->key_plain, &payload);
    c = is_wrapped ? payload : c;
    if (cell_is_object(&c)) {
        count_key_object(p, row, c.text);
    } else {
        count_key_value(p, row, &c);
    }
}

/* ---- records ---- */

static void count_row(struct proposal *p, struct str row)
{
    struct elements e;
    struct cell c;
    struct str name;

    p->rows++;
    elements_open(&e, row, &p->plain);
    while (elements_next(&e)) {
        elements_name(&e, &name);
        struct proposal_field *f = field_of(p, name);
        elements_value(&e, &c);
        if (f != NULL) {
            count_value(p, f, &c);
        } else {
            p->left_out++;
        }
    }
}

/* The object of that name in another one; false: there is none. */
static bool object_in(struct proposal *p, struct str *object, const char *name)
{
    struct cell c;

    if (!elements_find(*object, name, &p->plain, &c) || !cell_is_object(&c)) {
        return false;
    }
    *object = c.text;
    return true;
}

/* The object whose fields are columns. False: the record has none, as that of a delete. */
static bool find_row(struct proposal *p, enum proposal_envelope envelope, struct str *object)
{
    struct cell c;
    bool is_wrapped = envelope == PROPOSAL_CONNECT ||
                      (envelope == PROPOSAL_DEBEZIUM &&
                       elements_find(*object, "payload", &p->plain, &c) && cell_is_object(&c));

    if (is_wrapped && !object_in(p, object, "payload")) {
        return false;
    }
    return envelope != PROPOSAL_DEBEZIUM || object_in(p, object, "after") ||
           object_in(p, object, "before");
}

static void add_object(struct proposal *p, const struct message *msg, struct str object)
{
    enum guess guess = guess_value(p->guesser, msg);
    enum proposal_envelope envelope = guess == GUESS_DEBEZIUM  ? PROPOSAL_DEBEZIUM
                                      : guess == GUESS_CONNECT ? PROPOSAL_CONNECT
                                                               : PROPOSAL_PLAIN;

    if (p->rows == 0) {
        p->envelope = envelope;
    }
    if (envelope != p->envelope || !find_row(p, envelope, &object)) {
        p->others++;
        return;
    }
    count_row(p, object);
    count_key(p, object, msg->key);
}

void proposal_add(struct proposal *p, const struct message *msg)
{
    struct cell c;

    p->records++;
    if (msg->value.p == NULL) {
        p->tombstones++;
    } else if (read_document(p->document, msg->value, &c) && cell_is_object(&c)) {
        add_object(p, msg, c.text);
    } else {
        p->others++;
    }
}

size_t proposal_records(const struct proposal *p)
{
    return p->records;
}

size_t proposal_rows(const struct proposal *p)
{
    return p->rows;
}

size_t proposal_tombstones(const struct proposal *p)
{
    return p->tombstones;
}

size_t proposal_others(const struct proposal *p)
{
    return p->others;
}

enum proposal_envelope proposal_envelope(const struct proposal *p)
{
    return p->envelope;
}

const struct proposal_field *proposal_fields(const struct proposal *p, size_t *out_count,
                                             size_t *out_left_out)
{
    *out_count = p->field_count;
    *out_left_out = p->left_out;
    return p->fields;
}

static bool names_rows(const struct proposal *p, const struct proposal_field *f)
{
    return f->keys == p->rows && f->keys > 0;
}

bool proposal_is_key(const struct proposal *p, const struct proposal_field *f)
{
    size_t n = 0;

    if (p->keys_differ || !names_rows(p, f)) {
        return false;
    }
    for (size_t i = 0; i < p->field_count; i++) {
        n += names_rows(p, &p->fields[i]);
    }
    /* One value that two fields have names neither. */
    return n == p->key_fields;
}
