/*
 * What is done with a record of one shape for one tree of names: a list of steps, in the order of
 * the bytes. Made once, then followed for every record; a plan holds its schema. Plans belong to a
 * scratch memory, and to its thread.
 */
#ifndef ROW_FORMAT_AVRO_PLAN_H
#define ROW_FORMAT_AVRO_PLAN_H

#include "base/error.h"
#include "row/cell/fields.h"
#include "row/schema/shape.h"

enum avro_op {
    AVRO_END,  /* of the plan, or of a part of it */
    AVRO_SKIP, /* a value that nothing wants */
    AVRO_NULL, /* from here on, a value into the cell of the node */
    AVRO_BOOL,
    AVRO_INT32,
    AVRO_INT64,
    AVRO_FLOAT,
    AVRO_DOUBLE,
    AVRO_STRING,
    AVRO_BYTES,
    AVRO_FIXED,
    AVRO_ENUM,
    AVRO_JSON,  /* anything else, as JSON */
    AVRO_LIST,  /* an array of which only fields are wanted, and it has none */
    AVRO_OPEN,  /* a record begins, of which fields are wanted */
    AVRO_CLOSE, /* it ends, and is_whole */
    AVRO_MAP,   /* a map of which fields are wanted: `jump` is where the parts for them are */
    /* null is branch `null` - 1 and goes to `jump`; the other branch follows */
    AVRO_OPTION,
    AVRO_UNION,  /* goes on at targets[jump + branch] */
    AVRO_JUMP,   /* goes on at `jump` */
    AVRO_MARK,   /* the value here is wanted twice: */
    AVRO_REWIND, /* goes back to where the node's mark is */
    AVRO_TWO,    /* two fields meet one column, the second is number `jump`: a fault */
};

struct avro_step {
    uint8_t op;
    uint8_t null;  /* of a single value: 0, or 1 + the branch that is null instead */
    uint8_t unit;  /* of numbers: what they count */
    bool is_whole; /* the JSON of the record or map is wanted as well */
    uint32_t node;
    uint32_t jump;
    const struct shape *shape;
};

/* A field of a map that is wanted: the part for its value. */
struct avro_part {
    uint32_t node;
    uint32_t step;
};

struct avro_plan {
    const struct schema *schema; /* held */
    const struct shape *shape;
    uint64_t print; /* of the tree of names */
    size_t node_count;
    bool is_too_long; /* there are no steps: known, so that it is not tried for each record */
    struct avro_step *steps;
    size_t step_count;
    size_t step_cap;
    uint32_t *targets;
    size_t target_count;
    size_t target_cap;
    struct avro_part *parts; /* of each map, up to one of node 0 */
    size_t part_count;
    size_t part_cap;
};

struct avro_plans;

/* Those of a scratch memory: so many of the newest ones are kept. */
#define AVRO_PLANS_MAX 64
struct avro_plans *avro_plans_new(void) _must_;
struct avro_plans *avro_plans_free(struct avro_plans *p); /* returns NULL */

/*
 * The plan for records of that shape and that tree, which is sealed; it lives until another one is
 * asked for. NULL: ERROR_RECORD, the schema has so many branches that the plan would be too long.
 */
const struct avro_plan *avro_plans_get(struct avro_plans *p, const struct schema *schema,
                                       const struct shape *shape, const struct fields *names,
                                       struct error *err) _must_;

#endif
