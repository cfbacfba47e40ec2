/* The table of formats. Any thread. */
#include "row/format/format.h"

#include "row/format/avro_format.h"
#include "row/format/json_format.h"
#include "row/format/json_schema_format.h"
#include "row/format/protobuf_format.h"
#include "row/schema/protobuf_schema.h"

#include <inttypes.h>

/* Which message of the file it is. */
static const struct shape *pick_message(const struct schema *s, const struct framed *f,
                                        struct error *err)
{
    const struct shape *found = f->message.p != NULL
                                    ? protobuf_message_named(s, f->message)
                                    : protobuf_message_at(s, f->indexes, f->index_count);

    if (found == NULL && f->message.p != NULL) {
        struct excerpt x;
        error_set(err, ERROR_RECORD, "its schema has no message '%s'",
                  excerpt_text(&x, f->message));
    } else if (found == NULL) {
        _cleanup_buf_ struct buf place = {0};
        for (size_t i = 0; i < f->index_count; i++) {
            buf_printf(&place, i > 0 ? ".%" PRIu32 : "%" PRIu32, f->indexes[i]);
        }
        error_set(err, ERROR_RECORD, "its schema has no message at the place %s, counted from 0",
                  buf_cstr(&place));
    }
    if (found == NULL) {
        error_sqlstate(err, "22P03");
    }
    return found;
}

static const struct format formats[] = {
    [FORMAT_JSON] = {.name = "json", .has_fields = true, .is_json = true, .read = json_format_read},
    [FORMAT_RAW] = {.name = "raw"},
    [FORMAT_AVRO] = {.name = "avro",
                     .has_fields = true,
                     .wants_schema = true,
                     .language = SCHEMA_AVRO,
                     .read = avro_format_read},
    [FORMAT_PROTOBUF] = {.name = "protobuf",
                         .has_fields = true,
                         .wants_schema = true,
                         .language = SCHEMA_PROTOBUF,
                         .has_message = true,
                         .pick = pick_message,
                         .read = protobuf_format_read},
    [FORMAT_JSON_SCHEMA] = {.name = "json_schema",
                            .has_fields = true,
                            .wants_schema = true,
                            .language = SCHEMA_JSON,
                            .read = json_schema_format_read},
};
_Static_assert(ARRAY_LEN(formats) == FORMAT_COUNT, "each format has its row");

const struct format *format_of(enum format_id id)
{
    return &formats[id];
}
