/* The table of formats. Any thread. */
#include "row/format/format.h"

#include "row/format/json_format.h"
#include "row/json/document.h"

static const struct format formats[] = {
    [FORMAT_JSON] = {.name = "json", .has_fields = true, .read = json_format_read},
    [FORMAT_RAW] = {.name = "raw"},
};
_Static_assert(ARRAY_LEN(formats) == FORMAT_COUNT, "each format has its row");

const struct format *format_of(enum format_id id)
{
    return &formats[id];
}

void format_scratch_init(struct format_scratch *s)
{
    *s = (struct format_scratch){.document = document_new()};
}

void format_scratch_done(struct format_scratch *s)
{
    s->document = document_free(s->document);
}
