/* See json_format.h. */
#include "row/format/json_format.h"

#include "row/json/document.h"

static void no_fields(const struct fields *f, struct cell *cells)
{
    for (size_t i = 1; i < f->count; i++) {
        cells[i].kind = CELL_ABSENT;
    }
}

bool json_format_read(struct format_scratch *s, const struct format_input *in, struct cell *cells,
                      struct error *err)
{
    s->is_odd = false;
    s->node_count = 0;
    if (in->bytes.p == NULL) {
        cells[0].kind = CELL_NULL;
        no_fields(in->names, cells);
        return true;
    }
    if (s->document == NULL) {
        s->document = document_new();
    }
    struct str text = document_without_mark(in->bytes);
    if (!document_read(s->document, text, in->names, cells, err)) {
        return error_wrap(err, "the %s", in->what);
    }
    if (in->names->count > 1 && !in->any && cells[0].kind != CELL_NULL &&
        !cell_is_object(&cells[0])) {
        error_set(err, ERROR_RECORD, "the %s is %s, not a JSON object", in->what,
                  cell_kind_name(&cells[0]));
        return error_sqlstate(err, "22P02");
    }
    s->is_odd = document_is_odd(s->document);
    return true;
}
