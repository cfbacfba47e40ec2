/* See chooser.h: a template's parts, and the names that they may make. */
#include "row/mapping/chooser.h"

#include "base/mem.h"
#include "row/mapping/mapping_state.h"
#include "row/mapping/place.h"
#include "row/mapping/template.h"
#include "row/path/path.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text as it stands, or what a path leads to. */
struct name_part {
    struct str text; /* owned; of a path as it is printed */
    bool is_path;
    struct place place;
    uint32_t cell;
};

struct chosen_table {
    struct str name;
    const struct mapping *mapping;
};

struct chooser {
    struct mapping *mapping; /* reads what the template and the condition need */
    struct name_part *parts;
    size_t part_count;
    size_t part_cap;
    struct chosen_table *tables; /* by name */
    size_t table_count;
    size_t table_cap;
};

/* ---- building ---- */

static struct name_part *add_part(struct chooser *c, struct str text)
{
    c->parts = mem_grow(c->parts, &c->part_cap, c->part_count, sizeof *c->parts);
    c->parts[c->part_count] = (struct name_part){
        .text = {.p = mem_strndup(text.p, text.n), .n = text.n},
    };
    return &c->parts[c->part_count++];
}

static bool add_path(struct chooser *c, const char *text, struct error *err)
{
    struct path path = {0};
    bool ok = path_parse(text, &path, err) && mapping_check_path(c->mapping, &path, err);

    if (ok && (path.root == PATH_ITEM || (path.root == PATH_META && path.meta == META_INDEX))) {
        error_set(err, ERROR_SETUP, "an element cannot name the table");
        ok = error_hint(err, "All rows of a record go into one table.");
    }
    if (ok) {
        struct name_part *p = add_part(c, str_of(text));
        p->is_path = true;
        p->place = place_operand(c->mapping, &path);
    }
    path_done(&path);
    return ok || error_wrap(err, "{%s}", text);
}

static bool add_parts(struct chooser *c, const char *template, struct error *err)
{
    struct template_piece piece;

    while (template_next(&template, &piece)) {
        if (piece.path == NULL) {
            add_part(c, piece.text);
            continue;
        }
        bool ok = add_path(c, piece.path, err);
        free(piece.path);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool fault_of(const struct mapping_spec *spec, enum mapping_part part)
{
    if (spec->out_part != NULL) {
        *spec->out_part = part;
    }
    return false;
}

static bool build(struct chooser *c, const struct mapping_spec *spec, struct error *err)
{
    struct mapping *m = c->mapping;

    if (!mapping_set_root(m, spec, err)) {
        return fault_of(spec, MAPPING_ROOT);
    }
    if (!add_parts(c, spec->named_by, err)) {
        return fault_of(spec, MAPPING_TABLE);
    }
    if (!mapping_set_when(m, spec, err)) {
        return fault_of(spec, MAPPING_WHEN);
    }
    place_seal(m);
    mapping_bind_shape(m);
    mapping_meaning_end(m);
    for (size_t i = 0; i < c->part_count; i++) {
        struct name_part *p = &c->parts[i];
        p->cell = p->is_path ? place_cell(m, p->place) : 0;
    }
    return true;
}

struct chooser *chooser_new(const struct mapping_spec *spec, struct error *err)
{
    struct chooser *c = mem_zalloc(sizeof *c);

    c->mapping = mapping_begin(spec);
    c->mapping->explodes = spec->explode != NULL;
    return build(c, spec, err) ? c : chooser_free(c);
}

struct chooser *chooser_free(struct chooser *c)
{
    if (c != NULL) {
        for (size_t i = 0; i < c->part_count; i++) {
            free((void *) (uintptr_t) c->parts[i].text.p);
        }
        mapping_free(c->mapping);
        free(c->parts);
        free(c->tables);
        free(c);
    }
    return NULL;
}

const struct mapping *chooser_mapping(const struct chooser *c)
{
    return c->mapping;
}

void chooser_add(struct chooser *c, const char *name, const struct mapping *m)
{
    c->tables = mem_grow(c->tables, &c->table_cap, c->table_count, sizeof *c->tables);
    size_t i = c->table_count++;
    for (; i > 0 && str_cmp(c->tables[i - 1].name, str_of(name)) > 0; i--) {
        c->tables[i] = c->tables[i - 1];
    }
    c->tables[i] = (struct chosen_table){.name = str_of(name), .mapping = m};
}

/* ---- finding ---- */

/* The longest name that a table may have, and room to see that one is longer. */
struct name {
    char text[256];
    size_t n;
};

static void add_text(struct name *to, struct str s)
{
    size_t n = MIN(s.n, sizeof to->text - to->n);

    memcpy(to->text + to->n, s.p, n);
    to->n += n;
}

static bool add_cell(struct name *to, const struct cell *c)
{
    char digits[24];

    switch (c->kind) {
    case CELL_STRING:
    case CELL_BYTES:
    case CELL_NUMBER:
        add_text(to, c->text);
        return true;
    case CELL_INT:
        snprintf(digits, sizeof digits, "%" PRId64, c->number);
        add_text(to, str_of(digits));
        return true;
    case CELL_BOOL:
        add_text(to, c->truth ? STR_LIT("true") : STR_LIT("false"));
        return true;
    case CELL_ABSENT:
    case CELL_NULL:
    case CELL_JSON:
        break;
    }
    return false;
}

static bool make_name(const struct chooser *c, const struct cell *cells, struct name *out,
                      struct error *err)
{
    out->n = 0;
    for (size_t i = 0; i < c->part_count; i++) {
        const struct name_part *p = &c->parts[i];
        if (!p->is_path) {
            add_text(out, p->text);
        } else if (!add_cell(out, &cells[p->cell])) {
            const struct cell *cell = &cells[p->cell];
            return error_set(err, ERROR_RECORD, STR_FMT " names the table, and it is %s",
                             STR_ARG(p->text),
                             cell->kind == CELL_ABSENT ? "missing" : cell_kind_name(cell));
        }
    }
    return true;
}

const struct mapping *chooser_table(const struct chooser *c, size_t i)
{
    return i < c->table_count ? c->tables[i].mapping : NULL;
}

const struct mapping *chooser_find(const struct chooser *c, const struct cell *cells,
                                   struct error *err)
{
    struct name name;

    if (!make_name(c, cells, &name, err)) {
        return NULL;
    }
    const struct str wanted = {.p = name.text, .n = name.n};
    size_t low = 0;
    size_t high = c->table_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(wanted, c->tables[middle].name);
        if (order == 0) {
            return c->tables[middle].mapping;
        }
        low = order > 0 ? middle + 1 : low;
        high = order > 0 ? high : middle;
    }
    struct excerpt x;
    error_set(err, ERROR_RECORD, "no table of this route is called '%s'", excerpt_text(&x, wanted));
    error_hint(err, "If it should be one, create it and add it to tables: of the route.");
    return NULL;
}
