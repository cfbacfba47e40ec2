/*
 * A second walk over the value, only for routes that ask for it, so that the reader of documents
 * stays as fast as it is. Any thread.
 */
#include "row/record/rest.h"

static bool is_taken(const struct mapping *m, struct str name)
{
    const struct fields *tree = m->parses_root ? &m->item : &m->value;
    uint32_t row = m->parses_root ? 0 : m->row;

    return fields_find(tree, row, name) != FIELD_NONE ||
           fields_find_row(tree, row, name) != FIELD_NONE;
}

static bool unknown_fault(struct str name, struct error *err)
{
    struct excerpt x;

    return error_set(err, ERROR_RECORD,
                     "no column takes the field '%s', and unknown_fields is error",
                     excerpt_text(&x, name));
}

/* From the name's quote to the end of its value, as it is in the document. */
static void add_field(struct buf *text, const char *begin, const char *end)
{
    buf_add_z(text, text->n > 1 ? "," : "");
    buf_add(text, begin, (size_t) (end - begin));
}

bool rest_read(const struct mapping *m, const struct cell *root, struct buf *plain,
               struct buf *text, struct cell *out, struct error *err)
{
    struct elements e;
    struct cell value;
    struct str name;

    *out = (struct cell){.kind = CELL_NULL};
    if (root->kind != CELL_JSON || *root->text.p != '{') {
        return true;
    }
    buf_clear(text);
    buf_add_u8(text, '{');
    elements_open(&e, root->text, plain);
    while (elements_next(&e)) {
        const char *begin = e.p;
        elements_name(&e, &name);
        bool taken = is_taken(m, name);
        if (!taken && m->unknown == UNKNOWN_FAULT) {
            return unknown_fault(name, err);
        }
        elements_value(&e, &value);
        if (!taken) {
            add_field(text, begin, e.p);
        }
    }
    buf_add_u8(text, '}');
    *out = (struct cell){.kind = CELL_JSON, .text = buf_str(text)};
    return true;
}
