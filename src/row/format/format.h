/*
 * The formats in which values are written, one row of a table each. No
 * code asks which format it is: what differs between formats is a property here, and a new format
 * is a new row.
 *
 * Elements of arrays are JSON whatever the format of the value is; keys have formats of their own
 * (row/format/key_format.h).
 */
#ifndef ROW_FORMAT_FORMAT_H
#define ROW_FORMAT_FORMAT_H

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "row/cell/cell.h"
#include "row/cell/fields.h"
#include "row/format/framing.h"
#include "row/json/json.h"
#include "row/schema/shape.h"

enum format_id {
    FORMAT_JSON,
    FORMAT_RAW,
    FORMAT_AVRO,
    FORMAT_PROTOBUF,
    FORMAT_JSON_SCHEMA,
    FORMAT_COUNT
};

/* What is read, and what of it is wanted. */
struct format_input {
    const char *what;           /* its name in faults: "value", "key", "element" */
    struct str bytes;           /* absent: null */
    const struct fields *names; /* node i is wanted in cells[i], node 0 being all of it */
    bool any;                   /* it may be no object, although fields are asked for */
    /* With wants_schema: what it was written with, and which of the schema's shapes it is. */
    const struct schema *schema;
    const struct shape *shape;
};

/*
 * Scratch memory of a reader. The cells that it has filled are valid until it reads again with the
 * same scratch memory, and as long as the bytes are there. Starts as zeros; belongs to one thread.
 */
struct format_scratch {
    struct document *document; /* JSON's; made when it is first needed, unless init has made it */
    bool is_odd;               /* what was read last may hold something that jsonb refuses */
    /* Of formats with schemas: per node of the tree, see format_scratch_begin. */
    struct format_node *nodes;
    size_t node_count; /* of the tree that was read for last; 0 in formats without schemas */
    size_t node_cap;
    struct buf json;                 /* what was rendered */
    bool has_json;                   /* something was */
    struct avro_plans *avro;         /* made when first needed */
    struct protobuf_plans *protobuf; /* the same */
    struct json_schema_plans *json_schema;
};

/* What a reader of a format with schemas keeps for a node of the tree. */
struct format_node {
    const struct shape *shape;  /* that the node was written with; NULL: it is lacking or null */
    const uint8_t *begin;       /* where its value begins */
    const uint8_t *mark;        /* where it is to be read once more */
    size_t json_at;             /* where its JSON is in `json`, and its length; 0: it has none */
    size_t json_n;              /*   yet: */
    struct str met;             /* the key of a map that has met its column */
    char room[JSON_DOUBLE_MAX]; /* the text of its number */
};

/* Makes the document at once. Reading is measurably slower if its memory is allocated only after
 * the records have come (bench/encode). */
void format_scratch_init(struct format_scratch *s);
void format_scratch_done(struct format_scratch *s);

/* For readers of formats with schemas, before they read: room for so many nodes, of which nothing
 * is known yet, and no JSON. */
void format_scratch_begin(struct format_scratch *s, size_t count);

/*
 * Makes the JSON of that node, which begins at json_at of s->json and ends where that does now,
 * its cell's as soon as format_scratch_end is called: until then the JSON may move.
 */
void format_scratch_json(struct format_scratch *s, uint32_t node, size_t json_at);
void format_scratch_end(struct format_scratch *s, struct cell *cells);

/* With which shape was node `node` of the tree written in what was read last? NULL: it is lacking
 * or null, or the format has no schemas. */
const struct shape *format_node_shape(const struct format_scratch *s, uint32_t node) _pure_;

struct format {
    const char *name;  /* as users write it */
    bool has_fields;   /* a value has named fields; otherwise it is bytes that are not looked at */
    bool is_json;      /* it is JSON without a schema apart, and may be in Connect's wrapper */
    bool wants_schema; /* a value can be read only with the schema that it was written with */
    enum schema_language language; /* with wants_schema: of the schemas */
    bool has_message;              /* ... and the framing says which of their records it is */
    /* ... which one that is; NULL, and ERROR_RECORD: it has no such one. NULL: the only one. */
    const struct shape *(*pick)(const struct schema *s, const struct framed *f, struct error *err);

    /*
     * The fields that are asked for into cells; CELL_ABSENT where there is none. Neither bytes that
     * are absent nor a value that is null have fields. NULL without has_fields. What is a record or
     * a list in another format than JSON is CELL_JSON all the same: with its JSON as the text where
     * the node is_whole or has no fields below it, else with "{}". ERROR_RECORD: the bytes are not
     * what the format says; they are no object although fields are wanted.
     */
    bool (*read)(struct format_scratch *s, const struct format_input *in, struct cell *cells,
                 struct error *err);
};

const struct format *format_of(enum format_id id) _pure_;

#endif
