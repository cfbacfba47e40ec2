/* See met.h. */
#include "row/json/met.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* The field of the first node goes into the cell of the second as well. */
struct twins {
    uint32_t from;
    uint32_t to;
};

void met_done(struct met *m)
{
    free(m->names);
    free(m->twins);
    *m = (struct met){0};
}

void met_clear(struct met *m, const struct fields *f)
{
    m->twin_count = 0;
    if (f == NULL || f->policy == NAMES_EXACT) {
        return;
    }
    if (m->name_cap < f->count) {
        m->names = mem_realloc(m->names, f->count, sizeof *m->names);
        m->name_cap = f->count;
    }
    memset(m->names, 0, f->count * sizeof *m->names);
}

bool met_two_names(const struct fields *f, uint32_t node, struct str earlier, struct str name,
                   struct error *err)
{
    struct excerpt a;
    struct excerpt b;
    struct excerpt column;

    error_set(err, ERROR_RECORD, "'%s' and '%s' both meet column '%s'", excerpt_text(&a, earlier),
              excerpt_text(&b, name), excerpt_text(&column, f->nodes[node].name));
    error_hint(err, "With names: exact, and paths in columns: for other names, each field has its "
                    "column.");
    return error_sqlstate(err, "42701"); /* duplicate_column */
}

static void add_twins(struct met *m, uint32_t from, uint32_t to)
{
    m->twins = mem_grow(m->twins, &m->twin_cap, m->twin_count, sizeof *m->twins);
    m->twins[m->twin_count++] = (struct twins){.from = from, .to = to};
}

bool met_field(struct met *m, const struct fields *f, struct cell *cells, uint32_t parent,
               struct str name, uint32_t *node, struct error *err)
{
    uint32_t column = fields_find_row(f, parent, name);

    if (column == FIELD_NONE) {
        return true;
    }
    struct str *its = &m->names[column];
    bool is_first = cells[column].kind == CELL_ABSENT;
    struct str earlier = its->p != NULL ? *its : f->nodes[column].name;
    if (!is_first && !str_eq(earlier, name)) {
        return met_two_names(f, column, earlier, name, err);
    }
    *its = name;
    if (*node == FIELD_NONE) {
        *node = column;
    } else if (is_first) {
        cells[column].kind = CELL_NULL; /* it is met; what it gets is known at the end */
        add_twins(m, *node, column);
    }
    return true;
}

bool met_again(const struct met *m, const struct fields *f, uint32_t node, struct error *err)
{
    struct str earlier = m->names[node];
    struct str name = f->nodes[node].name;

    return earlier.p == NULL || str_eq(earlier, name) || met_two_names(f, node, earlier, name, err);
}

void met_finish(const struct met *m, struct cell *cells)
{
    for (size_t i = 0; i < m->twin_count; i++) {
        cells[m->twins[i].to] = cells[m->twins[i].from];
    }
}
