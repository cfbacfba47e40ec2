/*
 * The inside of a mapping: what row/record follows for every record. Made by the files of this
 * room, then immutable.
 *
 * Where the value of a column comes from, from the user's words to a number:
 *
 *     path     value.customer.name   key.id          headers.kind, meta.offset, 'a constant'
 *                 |                     |                 |
 *     place    ORIGIN_VALUE, 2       ORIGIN_KEY, 1   ORIGIN_SOURCE, 0
 *                 |                     |                 |
 *     cell     2                     4               7
 *                 |                     |                 |
 *     fill     column 'name'         column 'id'     column 'kind'
 *
 *     path     a place as text (row/path/path.h)
 *     place    an origin and a number within it. The origin says what the number counts: nodes of
 *              the tree of names that are wanted of the value, of the key, or of an element of an
 *              exploded array; sources; choices
 *     source   a place that is no field of a document: a header, the offset, a whole key, a text
 *     choice   several places; the first one counts that is there and not null (coalesce)
 *     parsed   a place whose string is a JSON document; what the document is counts
 *     cell     where the decoder puts what it has read: a place has its cell once all places are
 *              known and the numbers of one origin can follow those of another (place_seal)
 *     fill     a column, with the cell that fills it and how
 *
 * So the cells of a record are, by number: the nodes of the value's tree, those of the key's tree,
 * those of an element's tree, the other sources, the choices, what was parsed.
 */
#ifndef ROW_MAPPING_MAPPING_STATE_H
#define ROW_MAPPING_MAPPING_STATE_H

#include "row/cell/fields.h"
#include "row/mapping/mapping.h"
#include "row/path/condition.h"
#include "row/schema/placeholder.h"

/* What fills a cell that is not a field of a document. */
enum source_kind {
    SOURCE_VALUE_JSON,  /* the whole value, as a checked document */
    SOURCE_VALUE_BYTES, /* the whole value as it is */
    SOURCE_KEY_BYTES,   /* the whole key as it is */
    SOURCE_HEADERS,     /* all headers as one JSON object */
    SOURCE_HEADER,      /* the last header of a name */
    SOURCE_TOPIC,
    SOURCE_PARTITION,
    SOURCE_OFFSET,
    SOURCE_TIMESTAMP,
    SOURCE_SCHEMA, /* the decoder sets it when it knows which one it is */
    SOURCE_SCHEMA_ID,
    SOURCE_INDEX,    /* of the element */
    SOURCE_MARK,     /* of a soft delete; the decoder sets it for each row */
    SOURCE_CONSTANT, /* the same for every record */
    SOURCE_REST,     /* fields that no column takes; record/rest.c */
};

struct source {
    enum source_kind kind;
    struct str text; /* the header's name, the constant; owned */
};

enum origin {
    ORIGIN_VALUE,
    ORIGIN_KEY,
    ORIGIN_ITEM,
    ORIGIN_SOURCE,
    ORIGIN_CHOICE,
    ORIGIN_PARSED,
};

/* Where a value is read: see the top. */
struct place {
    enum origin origin;
    uint32_t number;
};

/* `coalesce`: the first of these cells that is there and not null. */
struct choice {
    struct place *places;
    uint32_t *cells;
    size_t count;
    size_t first_meaning; /* number of the meaning of its first place */
};

/* `parse: json`: a string that holds a document. */
struct parsed {
    struct place place;
    uint32_t cell;
    bool of_item; /* it differs from element to element */
};

/* How one column gets its value. */
struct fill {
    const struct column *column;
    struct place place;
    uint32_t cell;
    int omit_bit;
    bool is_key;
    bool is_version;
    uint32_t version_rank;
    bool is_mark;
    bool is_input; /* see mapping_sql.c */
    bool empty_as_null;
    enum time_unit unit;
    bool may_lack;     /* can the record lack it, so that a DEFAULT comes in? */
    bool is_by_name;   /* it has no entry, and takes the field of its name */
    bool of_event;     /* takes the column of that name of a change event's row */
    uint32_t before;   /* ... its cell in the row before the change; 0 = not read */
    uint32_t in_key;   /* ... its node in the key; 0 = not read */
    char *source_text; /* "value.customer.name"; owned */
    char *field_text;  /* "customer.name"; owned; of a path */
};

#define MAPPING_INPUTS 9

/* Debezium's own, and that of the route. */
#define PLACEHOLDERS 2

/* Cells of the two parts of Kafka Connect's wrapper. */
struct wrapper_cells {
    uint32_t schema;
    uint32_t payload;
};

/* Cells of the parts of a change event. */
struct change_cells {
    uint32_t op;
    uint32_t before;
    uint32_t after;
    uint32_t connector; /* 0: nothing depends on it, and it is not read */
};

/* A condition, and where its operands are. */
struct filter {
    struct condition *condition; /* NULL: there is none */
    struct place *places;
};

struct mapping {
    const struct table *table; /* NULL: of a chooser; there are no fills then */
    struct target target;
    char *route; /* target.route */
    const struct format *format;
    const struct key_format *key_format;
    struct framing framing; /* of the value */
    struct framing key_framing;
    struct fill *fills; /* as many as the target has columns, in their order */
    size_t fill_count;
    struct fields value;
    struct fields key;
    struct fields item; /* of an element */
    struct source *sources;
    size_t source_count;
    size_t source_cap;
    struct value_rules rules;
    enum unknown_policy unknown;
    struct place rest;      /* UNKNOWN_COLLECT */
    enum row_action action; /* of a record that deletes nothing */
    enum mapping_delete deletes;
    bool marks;     /* deletes are soft */
    uint32_t needs; /* enum table_privilege */
    struct choice *choices;
    size_t choice_count;
    size_t choice_cap;
    struct parsed *parsed;
    size_t parsed_count;
    size_t parsed_cap;
    struct filter when;        /* records and elements that are taken */
    struct filter delete_when; /* those that delete; without a condition: none */
    bool when_per_element;
    bool explodes;
    bool takes_whole_items;
    struct place array; /* that is exploded */
    uint32_t array_cell;
    char *array_text;                     /* "value.items"; owned */
    struct column inputs[MAPPING_INPUTS]; /* that expressions name */
    size_t input_count;
    bool has_index;
    uint32_t index_cell;
    enum mapping_envelope envelope;
    struct wrapper_cells wrapper;
    struct change_cells change;
    uint32_t row;     /* the node of the value whose fields are columns */
    struct str *root; /* the names on the way to it, but of change events; owned */
    size_t root_count;
    char *root_text;    /* as the route says it, "value.data"; NULL: it does not. Owned */
    bool parses_root;   /* it is a string, and the fields are those of `item` */
    bool takes_payload; /* a path leads to value.payload */
    bool takes_key;     /* as it is, whatever it holds */
    bool opens_key;     /* a path leads to key.payload */
    struct logical_rules meanings;
    /* per connector: what the values of fill i are where no schema says it, and after those of all
     * fills, those of the places of choices; NULL: their JSON */
    struct logical *logicals[CONNECTORS];
    bool has_meanings; /* there are such: schemas may say more of values than they say themselves */
    size_t meaning_count;
    struct placeholder *placeholders[PLACEHOLDERS]; /* what stands for a value that is not told */
    size_t placeholder_count;
    uint64_t fingerprint; /* of what the meanings of a schema depend on */
    omit_mask needed;     /* omit bits of columns that an upsert cannot leave out */
    bool truncates;
    bool reads_key;   /* the key has to be read, not only taken as bytes */
    bool reads_value; /* the value has to be read as JSON */
    bool wants_headers;
    char **encodings;   /* per table column: how it goes */
    const char **notes; /* per table column: where from, or why not */
    size_t cell_count;
};

/* The first cell of the key's tree, of an element's tree, of the other sources, of the choices, of
 * what was parsed. */
static inline size_t mapping_key_cell(const struct mapping *m)
{
    return m->value.count;
}

static inline size_t mapping_item_cell(const struct mapping *m)
{
    return m->value.count + m->key.count;
}

static inline size_t mapping_source_cell(const struct mapping *m)
{
    return mapping_item_cell(m) + m->item.count;
}

static inline size_t mapping_choice_cell(const struct mapping *m)
{
    return mapping_source_cell(m) + m->source_count;
}

static inline size_t mapping_parsed_cell(const struct mapping *m)
{
    return mapping_choice_cell(m) + m->choice_count;
}

/* Is a record a change event? Is there a second document in it, an element or a parsed root? */
static inline bool mapping_is_change(const struct mapping *m)
{
    return m->envelope == ENVELOPE_DEBEZIUM;
}

static inline bool mapping_has_item(const struct mapping *m)
{
    return m->explodes || m->parses_root;
}

/* mapping.c: a mapping that reads nothing yet and has no columns. */
struct mapping *mapping_begin(const struct mapping_spec *spec) _must_;

/* mapping.c: is it the word keep, which is not the root of any path? */
bool mapping_is_kept(const struct mapping_entry *entry);

/* mapping.c: a fault of one column, also of a record. Returns false. */
bool mapping_column_fault(struct error *err, const char *column);

/*
 * mapping_mode.c: key, version and mark of a mapping whose columns are known. ERROR_SETUP as
 * mapping_new says.
 */
bool mapping_set_mode(struct mapping *m, const struct mapping_spec *spec, struct error *err);
bool mapping_check_mark(const struct column *c, struct error *err);
bool mapping_check_identities(struct mapping *m, const struct mapping_spec *spec,
                              struct error *err);

/* mapping_omit.c: which columns a row may leave out, once the key is known. ERROR_SETUP: too many.
 */
bool mapping_set_omits(struct mapping *m, const struct mapping_spec *spec, struct error *err);

/* mapping_rest.c: fields that no column takes, before the columns are known; and their column. */
bool mapping_set_rest(struct mapping *m, const struct mapping_spec *spec, struct error *err);
bool mapping_check_rest(const struct column *c, struct error *err);

/*
 * mapping_shape.c. check_path: does the route have what the path leads to? set_explode before the
 * columns are looked at, set_when after them, bind_shape when all cells have their numbers.
 * ERROR_SETUP as mapping_new says.
 */
bool mapping_check_path(const struct mapping *m, const struct path *p, struct error *err);
bool mapping_check_fields(const struct mapping *m, struct error *err); /* of the value */
bool mapping_set_explode(struct mapping *m, const struct mapping_spec *spec, struct error *err);
bool mapping_set_root(struct mapping *m, const struct mapping_spec *spec, struct error *err);
bool mapping_set_when(struct mapping *m, const struct mapping_spec *spec, struct error *err);
bool mapping_set_delete_when(struct mapping *m, const struct mapping_spec *spec, struct error *err);
void filter_done(struct filter *f);
void mapping_bind_shape(struct mapping *m);

/* mapping_sql.c. A column that PostgreSQL computes; after all columns, what these name. */
void mapping_add_expression(struct mapping *m, const struct column *c, const char *sql);
void mapping_add_inputs(struct mapping *m);
void mapping_free_sql(struct mapping *m);

/*
 * mapping_change.c: change events, in the order of building. The parts of the envelope, before any
 * column; the column `f` is filled from the row of the event; which columns an update may leave
 * out; the row as it was, once the key is known.
 */
void mapping_change_begin(struct mapping *m);
void mapping_change_of_event(struct fill *f);
void mapping_change_omits(struct mapping *m);
void mapping_change_before(struct mapping *m);

/*
 * mapping_meaning.c: values that are more than their JSON says, or not told at all. What the route
 * says about them, before any column; what they are, once everything has its cell.
 */
void mapping_meaning_begin(struct mapping *m, const struct mapping_spec *spec);
void mapping_meaning_end(struct mapping *m);
void mapping_meaning_done(struct mapping *m);

/* A value that has a meaning: the place where it is read, for the column that it goes into. */
struct meant {
    struct place place;
    const struct fill *fill;
};
struct meant mapping_meant(const struct mapping *m, size_t meaning);

/* Does the value's node belong to the row of the event, before or after the change? */
bool mapping_change_holds(const struct mapping *m, uint32_t node);

#endif
