/* Which shape each node of a tree has is worked out once for a schema, and kept. */
#include "row/format/json_schema_format.h"

#include "base/mem.h"
#include "row/format/json_format.h"

#include <stdlib.h>

/* So many of the newest plans are kept. */
enum { PLANS_MAX = 64 };

struct plan {
    const struct schema *schema; /* held; NULL: a free place */
    const struct shape *shape;
    uint64_t print; /* of the tree of names */
    size_t count;
    const struct shape **of; /* per node; NULL: the schema does not say it */
};

struct json_schema_plans {
    struct plan of[PLANS_MAX];
    size_t last; /* used last */
    size_t next; /* made next */
    struct buf name;
};

static void plan_done(struct plan *plan)
{
    free(plan->of);
    schema_drop(plan->schema);
    *plan = (struct plan){0};
}

struct json_schema_plans *json_schema_plans_free(struct json_schema_plans *p)
{
    if (p != NULL) {
        for (size_t i = 0; i < PLANS_MAX; i++) {
            plan_done(&p->of[i]);
        }
        buf_done(&p->name);
        free(p);
    }
    return NULL;
}

static void set(struct plan *plan, uint32_t node, const struct shape *s)
{
    if (node != FIELD_NONE) {
        plan->of[node] = shape_beyond_null(s, NULL);
    }
}

/* What is below a node whose shape is known. */
static void plan_below(struct plan *plan, const struct fields *f, uint32_t node, struct buf *name)
{
    const struct shape *s = plan->of[node];

    for (uint32_t i = node + 1; s->kind == SHAPE_MAP && i < f->count; i++) {
        set(plan, f->nodes[i].parent == node ? i : FIELD_NONE, s->element);
    }
    for (uint32_t i = 0; i < s->field_count; i++) {
        buf_clear(name);
        buf_add_str(name, s->fields[i].name);
        buf_fill(name, 0, FIELD_PADDING);
        struct str its = {.p = (const char *) name->p, .n = s->fields[i].name.n};
        set(plan, fields_find(f, node, its), s->fields[i].shape);
        set(plan, fields_find_row(f, node, its), s->fields[i].shape);
    }
}

static bool is_for(const struct plan *plan, const struct format_input *in)
{
    return plan->shape == in->shape && plan->print == in->names->print &&
           plan->count == in->names->count;
}

static const struct plan *plan_of(struct json_schema_plans *p, const struct format_input *in)
{
    if (is_for(&p->of[p->last], in)) {
        return &p->of[p->last];
    }
    for (size_t i = 0; i < PLANS_MAX; i++) {
        if (is_for(&p->of[i], in)) {
            p->last = i;
            return &p->of[i];
        }
    }
    struct plan *plan = &p->of[p->next];
    p->last = p->next;
    p->next = (p->next + 1) % PLANS_MAX;
    plan_done(plan);
    *plan = (struct plan){
        .schema = schema_hold(in->schema),
        .shape = in->shape,
        .print = in->names->print,
        .count = in->names->count,
        .of = mem_array(in->names->count, sizeof *plan->of),
    };
    set(plan, 0, in->shape);
    for (uint32_t i = 0; i < in->names->count; i++) { /* parents first */
        if (plan->of[i] != NULL) {
            plan_below(plan, in->names, i, &p->name);
        }
    }
    return plan;
}

bool json_schema_format_read(struct format_scratch *s, const struct format_input *in,
                             struct cell *cells, struct error *err)
{
    if (!json_format_read(s, in, cells, err)) {
        return false;
    }
    bool is_odd = s->is_odd;
    if (in->bytes.p == NULL) { /* and so nobody said a schema */
        format_scratch_begin(s, in->names->count);
        return true;
    }
    if (s->json_schema == NULL) {
        s->json_schema = mem_zalloc(sizeof *s->json_schema);
    }
    const struct plan *plan = plan_of(s->json_schema, in);
    format_scratch_begin(s, in->names->count);
    s->is_odd = is_odd;
    for (size_t i = 0; i < plan->count; i++) {
        bool is_there = cells[i].kind != CELL_ABSENT && cells[i].kind != CELL_NULL;
        s->nodes[i].shape = is_there ? plan->of[i] : NULL;
    }
    return true;
}
