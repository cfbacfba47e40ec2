/* The table of formats. Any thread. */
#include "row/format/format.h"

#include "row/format/avro_format.h"
#include "row/format/json_format.h"
#include "row/format/json_schema_format.h"
#include "row/format/protobuf_format.h"

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
