/* What the encoders of all types share. Pure; the thread of the encoder. */
#include "row/encode/encoding.h"

#include <inttypes.h>
#include <stdio.h>

void encoder_done(struct encoder *e)
{
    buf_done(&e->scratch);
    buf_done(&e->plain);
    buf_done(&e->quoted);
    logical_scratch_done(&e->applied);
    e->document = document_free(e->document);
}

bool encoding_text_of(const struct encoding *v, struct digits *digits, struct str *out)
{
    const struct cell *c = v->cell;

    if (c->kind == CELL_BOOL) {
        *out = c->truth ? STR_LIT("true") : STR_LIT("false");
        return true;
    }
    if (c->kind == CELL_INT) {
        int n = snprintf(digits->text, sizeof digits->text, "%" PRId64, c->number);
        *out = (struct str){.p = digits->text, .n = (size_t) n};
        return true;
    }
    *out = c->text;
    return c->kind != CELL_JSON;
}

const char *encoding_type_name(const struct encoding *v)
{
    enum column_type type = v->column->type;

    return column_type_is_various(type) ? v->column->type_name : column_type_name(type);
}

bool encoding_misfit(const struct encoding *v)
{
    const struct cell *c = v->cell;
    const char *type = encoding_type_name(v);

    if (c->kind == CELL_JSON) {
        error_set(v->err, ERROR_RECORD, "%s does not go into %s", cell_kind_name(c), type);
    } else {
        cell_fault(c, v->err, "is not a valid %s", type);
    }
    return error_sqlstate(v->err, column_type_is_time(v->column->type) ? "22007" : "22P02");
}

bool encoding_misfit_boolean(const struct encoding *v)
{
    encoding_misfit(v);
    return error_hint(v->err,
                      "With booleans: number in the route, 0 is false, every other number is "
                      "true, and true and false are the numbers 1 and 0.");
}

bool encoding_out_of_range(const struct encoding *v)
{
    cell_fault(v->cell, v->err, "is out of range for %s", encoding_type_name(v));
    return error_sqlstate(v->err, column_type_is_time(v->column->type) ? "22008" : "22003");
}
