/*
 * Planning follows the tree of names, which is finite, and not the schema, which may contain
 * itself: below what nothing wants there is one step. Only unions could make a plan long; its
 * length is bounded.
 */
#include "row/format/avro_plan.h"

#include "base/buf.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 1 << 18 };

struct planner {
    struct avro_plan *plan;
    const struct fields *f;
    struct buf *name; /* a name with the padding that looking for it wants */
    bool *is_met;     /* per node of a column: by a field of the record */
};

static void plan_value(struct planner *p, const struct shape *s, uint32_t node);

static bool is_full(const struct planner *p)
{
    return p->plan->step_count >= STEPS_MAX;
}

/* Appends a step; returns its number. */
static uint32_t add(struct planner *p, enum avro_op op, uint32_t node, const struct shape *s)
{
    struct avro_plan *plan = p->plan;

    plan->steps = mem_grow(plan->steps, &plan->step_cap, plan->step_count, sizeof *plan->steps);
    plan->steps[plan->step_count] = (struct avro_step){
        .op = (uint8_t) op,
        .unit = s != NULL ? (uint8_t) s->unit : (uint8_t) UNIT_NONE,
        .node = node,
        .shape = s,
    };
    return (uint32_t) plan->step_count++;
}

static uint32_t here(const struct planner *p)
{
    return (uint32_t) p->plan->step_count;
}

/* ---- names ---- */

static bool has_fields(const struct planner *p, uint32_t node)
{
    const struct field *f = &p->f->nodes[node];

    return f->children + f->row_children > 0;
}

static struct str padded(struct planner *p, struct str name)
{
    buf_clear(p->name);
    buf_add_str(p->name, name);
    buf_fill(p->name, 0, FIELD_PADDING);
    return (struct str){.p = (const char *) p->name->p, .n = name.n};
}

/* The node that a path of the user's has for the field, and the one that a column has. */
struct wanted {
    uint32_t path;
    uint32_t column;
};

static struct wanted wanted_of(struct planner *p, uint32_t node, struct str name)
{
    struct str its = padded(p, name);

    return (struct wanted){
        .path = fields_find(p->f, node, its),
        .column = fields_find_row(p->f, node, its),
    };
}

/* A value that is wanted in up to two cells. */
static void plan_wanted(struct planner *p, const struct shape *s, struct wanted w)
{
    bool is_twice = w.path != FIELD_NONE && w.column != FIELD_NONE;

    if (is_twice) {
        add(p, AVRO_MARK, w.path, s);
    }
    plan_value(p, s, w.path != FIELD_NONE ? w.path : w.column);
    if (is_twice) {
        add(p, AVRO_REWIND, w.path, s);
        plan_value(p, s, w.column);
    }
}

/* ---- records and maps ---- */

/* No field has met a column below that node yet. */
static void forget_met(struct planner *p, uint32_t node)
{
    for (uint32_t i = node + 1; i < p->f->count; i++) {
        if (p->f->nodes[i].parent == node) {
            p->is_met[i] = false;
        }
    }
}

static void plan_record(struct planner *p, const struct shape *s, uint32_t node)
{
    bool is_whole = p->f->nodes[node].is_whole;

    uint32_t open = add(p, AVRO_OPEN, node, s);
    p->plan->steps[open].is_whole = is_whole;
    forget_met(p, node);
    for (uint32_t i = 0; i < s->field_count && !is_full(p); i++) {
        struct wanted w = wanted_of(p, node, s->fields[i].name);
        if (w.column != FIELD_NONE && p->is_met[w.column]) {
            uint32_t two = add(p, AVRO_TWO, w.column, s);
            p->plan->steps[two].jump = i;
            return;
        }
        if (w.column != FIELD_NONE) {
            p->is_met[w.column] = true;
        }
        plan_wanted(p, s->fields[i].shape, w);
    }
    if (is_whole) {
        add(p, AVRO_CLOSE, node, s);
    }
}

/* Each field of a map that is wanted has a part of its own, which is jumped over. */
static void plan_map(struct planner *p, const struct shape *s, uint32_t node)
{
    struct avro_plan *plan = p->plan;
    uint32_t map = add(p, AVRO_MAP, node, s);
    uint32_t over = add(p, AVRO_JUMP, node, s);
    size_t wanted = p->f->nodes[node].children + (size_t) p->f->nodes[node].row_children;
    size_t at = plan->part_count;

    plan->steps[map].is_whole = p->f->nodes[node].is_whole;
    plan->steps[map].jump = (uint32_t) at;
    for (size_t i = 0; i <= wanted; i++) { /* parts of maps inside come after these */
        plan->parts = mem_grow(plan->parts, &plan->part_cap, plan->part_count, sizeof *plan->parts);
        plan->parts[plan->part_count++] = (struct avro_part){0};
    }
    for (uint32_t child = node + 1; child < p->f->count && !is_full(p); child++) {
        if (p->f->nodes[child].parent == node) {
            plan->parts[at++] = (struct avro_part){.node = child, .step = here(p)};
            plan_value(p, s->element, child);
            add(p, AVRO_END, node, s);
        }
    }
    plan->steps[over].jump = here(p);
}

/* What takes a value that is no union. */
static enum avro_op op_of(const struct shape *s)
{
    static const enum avro_op ops[] = {
        [SHAPE_NULL] = AVRO_NULL,     [SHAPE_BOOL] = AVRO_BOOL,   [SHAPE_INT32] = AVRO_INT32,
        [SHAPE_INT64] = AVRO_INT64,   [SHAPE_FLOAT] = AVRO_FLOAT, [SHAPE_DOUBLE] = AVRO_DOUBLE,
        [SHAPE_STRING] = AVRO_STRING, [SHAPE_BYTES] = AVRO_BYTES, [SHAPE_FIXED] = AVRO_FIXED,
        [SHAPE_ENUM] = AVRO_ENUM,     [SHAPE_RECORD] = AVRO_OPEN, [SHAPE_ARRAY] = AVRO_LIST,
        [SHAPE_MAP] = AVRO_MAP,       [SHAPE_UNION] = AVRO_UNION,
    };

    return ops[s->kind];
}

/* ---- unions ---- */

/* A path may name the record that it leads into, as Avro's own JSON does. */
static void plan_branch(struct planner *p, const struct shape *s, uint32_t node)
{
    uint32_t named = s->name.p != NULL ? fields_find(p->f, node, padded(p, s->name)) : FIELD_NONE;

    if (named != FIELD_NONE && shape_field_of(s, s->name) == NULL) {
        add(p, AVRO_MARK, named, s);
        plan_value(p, s, named);
        add(p, AVRO_REWIND, named, s);
    }
    plan_value(p, s, node);
}

static void plan_option(struct planner *p, const struct shape *s, uint32_t node)
{
    uint8_t null = s->branches[0]->kind == SHAPE_NULL ? 0 : 1;
    const struct shape *other = s->branches[1 - null];
    enum avro_op op = op_of(other);

    if (op < AVRO_JSON && other->name.p == NULL) { /* most fields are this: one step */
        uint32_t step = add(p, op, node, other);
        p->plan->steps[step].null = (uint8_t) (1 + null);
        return;
    }
    uint32_t option = add(p, AVRO_OPTION, node, s);
    p->plan->steps[option].null = (uint8_t) (1 + null);
    plan_branch(p, other, node);
    p->plan->steps[option].jump = here(p);
}

static void plan_union(struct planner *p, const struct shape *s, uint32_t node)
{
    struct avro_plan *plan = p->plan;
    uint32_t first = (uint32_t) plan->target_count;
    size_t need = plan->target_count + s->branch_count;

    uint32_t step = add(p, AVRO_UNION, node, s);
    plan->steps[step].jump = first;
    if (plan->target_cap < need) {
        plan->target_cap = 2 * need;
        plan->targets = mem_realloc(plan->targets, plan->target_cap, sizeof *plan->targets);
    }
    plan->target_count = need;
    /* Each branch ends with a jump to the end, which is known only then. */
    uint32_t last = UINT32_MAX;
    for (uint32_t i = 0; i < s->branch_count && !is_full(p); i++) {
        plan->targets[first + i] = here(p);
        plan_branch(p, s->branches[i], node);
        uint32_t jump = add(p, AVRO_JUMP, node, s);
        plan->steps[jump].jump = last;
        last = jump;
    }
    while (last != UINT32_MAX) {
        uint32_t before = plan->steps[last].jump;
        plan->steps[last].jump = here(p);
        last = before;
    }
}

/* ---- all of them ---- */

static void plan_parts(struct planner *p, const struct shape *s, uint32_t node)
{
    if (!has_fields(p, node)) {
        add(p, AVRO_JSON, node, s);
    } else if (s->kind == SHAPE_RECORD) {
        plan_record(p, s, node);
    } else if (s->kind == SHAPE_MAP) {
        plan_map(p, s, node);
    } else {
        add(p, p->f->nodes[node].is_whole ? AVRO_JSON : AVRO_LIST, node, s);
    }
}

static void plan_value(struct planner *p, const struct shape *s, uint32_t node)
{
    if (is_full(p)) {
        return;
    }
    if (node == FIELD_NONE) {
        add(p, AVRO_SKIP, node, s);
    } else if (s->kind == SHAPE_UNION) {
        bool is_option = shape_beyond_null(s, NULL) != s;
        (is_option ? plan_option : plan_union)(p, s, node);
    } else if (op_of(s) >= AVRO_JSON) {
        plan_parts(p, s, node);
    } else {
        add(p, op_of(s), node, s);
    }
}

/* ---- plans that are kept ---- */

struct avro_plans {
    struct avro_plan of[AVRO_PLANS_MAX];
    size_t last; /* asked for last */
    size_t next; /* the oldest one, or a free place */
};

struct avro_plans *avro_plans_new(void)
{
    return mem_zalloc(sizeof(struct avro_plans));
}

static void steps_done(struct avro_plan *plan)
{
    free(plan->steps);
    free(plan->targets);
    free(plan->parts);
    plan->steps = NULL;
    plan->targets = NULL;
    plan->parts = NULL;
}

static void plan_done(struct avro_plan *plan)
{
    schema_drop(plan->schema);
    steps_done(plan);
    *plan = (struct avro_plan){0};
}

struct avro_plans *avro_plans_free(struct avro_plans *p)
{
    if (p != NULL) {
        for (size_t i = 0; i < AVRO_PLANS_MAX; i++) {
            plan_done(&p->of[i]);
        }
        free(p);
    }
    return NULL;
}

static bool is_for(const struct avro_plan *plan, const struct shape *shape, const struct fields *f)
{
    return plan->shape == shape && plan->print == f->print && plan->node_count == f->count;
}

static struct avro_plan make(const struct schema *schema, const struct shape *shape,
                             const struct fields *f)
{
    _cleanup_buf_ struct buf name = {0};
    _cleanup_mem_ bool *is_met = mem_array(f->count, sizeof *is_met);
    struct avro_plan plan = {
        .schema = schema_hold(schema),
        .shape = shape,
        .print = f->print,
        .node_count = f->count,
    };
    struct planner p = {.plan = &plan, .f = f, .name = &name, .is_met = is_met};

    plan_value(&p, shape, 0);
    plan.is_too_long = is_full(&p);
    if (plan.is_too_long) {
        steps_done(&plan);
    } else {
        add(&p, AVRO_END, 0, shape);
    }
    return plan;
}

/* The plan for that, which is p->last from now on. */
static const struct avro_plan *find_or_make(struct avro_plans *p, const struct schema *schema,
                                            const struct shape *shape, const struct fields *names)
{
    if (is_for(&p->of[p->last], shape, names)) {
        return &p->of[p->last];
    }
    for (size_t i = 0; i < AVRO_PLANS_MAX; i++) {
        if (is_for(&p->of[i], shape, names)) {
            p->last = i;
            return &p->of[i];
        }
    }
    plan_done(&p->of[p->next]);
    p->of[p->next] = make(schema, shape, names);
    p->last = p->next;
    p->next = (p->next + 1) % AVRO_PLANS_MAX;
    return &p->of[p->last];
}

const struct avro_plan *avro_plans_get(struct avro_plans *p, const struct schema *schema,
                                       const struct shape *shape, const struct fields *names,
                                       struct error *err)
{
    const struct avro_plan *plan = find_or_make(p, schema, shape, names);

    if (!plan->is_too_long) {
        return plan;
    }
    error_set(err, ERROR_RECORD,
              "its schema has so many branches that %d steps do not lead to all that is wanted",
              STEPS_MAX);
    error_sqlstate(err, "54001");
    return NULL;
}
