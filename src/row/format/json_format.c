/* See json_format.h. */
#include "row/format/json_format.h"

static void no_fields(const struct fields *f, struct cell *cells)
{
    for (size_t i = 1; i < f->count; i++) {
        cells[i].kind = CELL_ABSENT;
    }
}

static bool is_object(const struct cell *c)
{
    return c->kind == CELL_JSON && *c->text.p == '{';
}

bool json_format_read(const char *what, const struct fields *f, struct document *d, struct str text,
                      struct cell *cells, struct error *err)
{
    if (!text.p) {
        cells[0].kind = CELL_NULL;
        no_fields(f, cells);
        return true;
    }
    if (!document_read(d, text, f, cells, err)) {
        return error_wrap(err, "the %s", what);
    }
    if (f->count > 1 && cells[0].kind != CELL_NULL && !is_object(&cells[0])) {
        error_set(err, ERROR_RECORD, "the %s is %s, not a JSON object", what,
                  cell_kind_name(&cells[0]));
        return error_sqlstate(err, "22P02");
    }
    return true;
}
