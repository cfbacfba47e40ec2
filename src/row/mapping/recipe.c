/* See recipe.h. */
#include "row/mapping/recipe.h"

#include "base/mem.h"
#include "row/encode/encode.h"
#include "row/mapping/place.h"

#include <stdlib.h>

/* ---- which source goes into which type ---- */

/* Takes any text; whether PostgreSQL does is seen only when it casts. */
static bool is_text(enum column_type t)
{
    return column_type_is_text(t) || t == TYPE_COMPOSITE || t == TYPE_OTHER;
}

static bool meta_fits(enum path_meta meta, enum column_type t)
{
    switch (meta) {
    case META_TOPIC:
    case META_SCHEMA:
        return is_text(t) || t == TYPE_ENUM;
    case META_SCHEMA_ID:
        return is_text(t) || column_type_is_number(t) || t == TYPE_UUID;
    case META_PARTITION:
    case META_OFFSET:
    case META_INDEX:
        return is_text(t) || column_type_is_number(t);
    case META_TIMESTAMP:
        return column_type_is_timestamp(t) || t == TYPE_DATE || t == TYPE_INT8 || t == TYPE_NUMERIC;
    }
    __builtin_unreachable();
}

static bool path_fits(const struct path *p, enum column_type t)
{
    switch (p->root) {
    case PATH_META:
        return meta_fits(p->meta, t);
    case PATH_HEADERS:
        return p->name_count > 0 || is_text(t) || column_type_is_json(t) || t == TYPE_HSTORE;
    case PATH_VALUE:
    case PATH_KEY:
    case PATH_ITEM:
        break;
    }
    return true;
}

/* Can the record lack it, so that a DEFAULT comes in? Kafka's null for a whole key or value is a
 * NULL. */
static bool path_may_lack(const struct path *p)
{
    bool is_lacking_meta = p->meta == META_TIMESTAMP || p->meta >= META_SCHEMA;

    return p->name_count > 0 || (p->root == PATH_META && is_lacking_meta);
}

/* ---- adding values ---- */

/* The type of the column, or of the elements of its array. */
static enum column_type inner_type(const struct column *c)
{
    return c->element != NULL ? c->element->type : c->type;
}

void recipe_init(struct recipe *r, const struct mapping *m, const struct column *c)
{
    *r = (struct recipe){
        .column = c,
        .unit = column_type_is_time(inner_type(c)) ? m->rules.unit : UNIT_NONE,
        .may_lack = true,
    };
}

void recipe_done(struct recipe *r)
{
    free(r->places);
    buf_done(&r->text);
    buf_done(&r->fields);
}

static void add_place(struct recipe *r, struct place place)
{
    r->places = mem_grow(r->places, &r->cap, r->count, sizeof *r->places);
    r->places[r->count++] = place;
}

/* Is it the document's text that goes into the column? Into other types goes what the document is:
 * a number, a string, an array. */
static bool wants_document_text(enum column_type t)
{
    return column_type_is_json(t) || column_type_is_text(t) || t == TYPE_BYTEA;
}

bool recipe_add_path(struct mapping *m, struct recipe *r, const struct path *path,
                     struct error *err)
{
    size_t begin = r->text.n;

    path_print(path, true, &r->text);
    path_print(path, false, &r->fields);
    const char *text = buf_cstr(&r->text) + begin;
    if (!mapping_check_path(m, path, err)) {
        return error_wrap(err, "%s", text);
    }
    if (!path_fits(path, r->column->type)) {
        error_set(err, ERROR_SETUP, "%s cannot go into %s", text, r->column->type_name);
        return error_hint(err, "Change the type of the column, or map it with columns: to another "
                               "source.");
    }
    bool as_text = wants_document_text(r->column->type) && m->envelope != ENVELOPE_CONNECT &&
                   !r->parses;
    add_place(r, as_text ? place_path(m, path, r->column->type == TYPE_BYTEA)
                         : place_operand(m, path));
    r->may_lack &= path_may_lack(path);
    r->counts |= path->root != PATH_META;
    return true;
}

/* A constant is encoded once, so that a wrong one is found before any record is. */
static bool check_constant(const struct mapping *m, const struct recipe *r, const char *text,
                           struct error *err)
{
    _cleanup_buf_ struct buf out = {0};
    _cleanup_(encoder_done) struct encoder encoder = {0};
    struct cell cell = {.kind = CELL_BYTES, .text = str_of(text)};
    struct encoding v = {
        .encoder = &encoder,
        .column = r->column,
        .unit = r->unit,
        .cell = &cell,
        .out = &out,
        .err = err,
        .rules = &m->rules,
    };

    if (encode_value(&v)) {
        return true;
    }
    err->class = ERROR_SETUP;
    return error_wrap(err, "constant");
}

static bool add_constant(struct mapping *m, struct recipe *r, const char *text, struct error *err)
{
    if (!check_constant(m, r, text, err)) {
        return false;
    }
    buf_printf(&r->text, "'%s'", text);
    add_place(r, place_constant(m, text));
    r->may_lack = false;
    r->counts = true;
    return true;
}

bool recipe_add_value(struct mapping *m, struct recipe *r, const struct mapping_value *v,
                      struct error *err)
{
    struct path path = {0};

    if (r->count > 0) {
        buf_add_z(&r->text, ", ");
    }
    if (v->constant != NULL) {
        return add_constant(m, r, v->constant, err);
    }
    bool ok = path_parse(v->path, &path, err) && recipe_add_path(m, r, &path, err);
    path_done(&path);
    return ok;
}

bool recipe_check_unit(const struct recipe *r, struct error *err)
{
    if (!column_type_is_time(inner_type(r->column)) || !r->counts) {
        _cleanup_buf_ struct buf text = {0};
        buf_add_str(&text, buf_str(&r->text));
        error_set(err, ERROR_SETUP,
                  "a unit is for a number that goes into a date or time, not for %s into %s",
                  buf_cstr(&text), r->column->type_name);
        return error_hint(err, "Take the unit away, or give the column a date or time type.");
    }
    return true;
}

/* ---- what they make ---- */

char *recipe_encoding(const struct recipe *r)
{
    static const char *const units[] = {"",
                                        ", numbers in s",
                                        ", numbers in ms",
                                        ", numbers in us",
                                        ", numbers in ns",
                                        ", numbers in days"};
    const struct column *c = r->column;
    enum time_unit unit = r->counts ? r->unit : UNIT_NONE;

    if (c->cast) {
        bool is_text = column_is_text_cast(c);
        return mem_printf(
            "%s%s, cast to %s",
            column_type_name(is_text ? TYPE_TEXT : column_type_sent_as(inner_type(c))),
            c->element != NULL && !is_text ? " array" : "", c->base_name);
    }
    return mem_printf("%s%s binary%s", column_type_name(inner_type(c)),
                      c->element != NULL ? " array" : "", units[unit]);
}

void recipe_fill(struct mapping *m, const struct recipe *r, struct fill *out)
{
    bool several = r->count > 1;
    struct place place = several ? place_choice(m, r->places, r->count) : r->places[0];

    *out = (struct fill){
        .column = r->column,
        .omit_bit = -1,
        .empty_as_null = m->rules.empty_as_null && !column_type_is_json(r->column->type),
        .unit = r->unit,
        .may_lack = r->may_lack,
        .place = r->parses ? place_parsed(m, place) : place,
        .source_text = mem_printf(several ? "coalesce(" STR_FMT ")" : STR_FMT,
                                  STR_ARG(buf_str(&r->text))),
        .field_text = mem_printf(STR_FMT, STR_ARG(buf_str(&r->fields))),
    };
}
