/* See key_format.h. */
#include "row/format/key_format.h"

#include "row/format/avro_format.h"
#include "row/format/json_format.h"
#include "row/format/json_schema_format.h"
#include "row/format/protobuf_format.h"

static bool read_number(const struct format_input *in, size_t n, struct cell *cells,
                        struct error *err)
{
    uint64_t number = 0;

    if (in->bytes.p == NULL) {
        cells[0].kind = CELL_NULL;
        return true;
    }
    if (in->bytes.n != n) {
        error_set(err, ERROR_RECORD, "the %s has %zu byte%s, and key_format: int%zu reads %zu",
                  in->what, in->bytes.n, in->bytes.n == 1 ? "" : "s", 8 * n, n);
        error_hint(err, "Kafka's serializers write 4 bytes for an Integer and 8 for a Long; other "
                        "keys want another key_format.");
        return error_sqlstate(err, "22P03"); /* invalid_binary_representation */
    }
    for (size_t i = 0; i < n; i++) {
        number = number << 8 | (uint8_t) in->bytes.p[i];
    }
    cell_set_int(&cells[0], n == 4 ? (int32_t) (uint32_t) number : (int64_t) number, UNIT_NONE);
    return true;
}

static bool read_int32(struct format_scratch *s, const struct format_input *in, struct cell *cells,
                       struct error *err)
{
    s->is_odd = false;
    return read_number(in, 4, cells, err);
}

static bool read_int64(struct format_scratch *s, const struct format_input *in, struct cell *cells,
                       struct error *err)
{
    s->is_odd = false;
    return read_number(in, 8, cells, err);
}

static const struct key_format formats[] = {
    [KEY_AUTO] = {.name = "auto", .has_fields = true, .is_json = true, .read = json_format_read},
    [KEY_TEXT] = {.name = "text"},
    [KEY_JSON] = {.name = "json",
                  .has_fields = true,
                  .has_value = true,
                  .is_json = true,
                  .read = json_format_read},
    [KEY_INT32] = {.name = "int32", .has_value = true, .read = read_int32},
    [KEY_INT64] = {.name = "int64", .has_value = true, .read = read_int64},
    [KEY_AVRO] = {.name = "avro",
                  .has_fields = true,
                  .has_value = true,
                  .wants_schema = true,
                  .format = FORMAT_AVRO,
                  .read = avro_format_read},
    [KEY_PROTOBUF] = {.name = "protobuf",
                      .has_fields = true,
                      .has_value = true,
                      .wants_schema = true,
                      .format = FORMAT_PROTOBUF,
                      .read = protobuf_format_read},
    [KEY_JSON_SCHEMA] = {.name = "json_schema",
                         .has_fields = true,
                         .has_value = true,
                         .wants_schema = true,
                         .format = FORMAT_JSON_SCHEMA,
                         .read = json_schema_format_read},
};
_Static_assert(ARRAY_LEN(formats) == KEY_FORMAT_COUNT, "each format has its row");

const struct key_format *key_format_of(enum key_format_id id)
{
    return &formats[id];
}

/* By the format of the values. */
static const struct key_format beside[FORMAT_COUNT] = {
    [FORMAT_AVRO] = {.name = "auto",
                     .has_fields = true,
                     .wants_schema = true,
                     .format = FORMAT_AVRO,
                     .read = avro_format_read},
    [FORMAT_PROTOBUF] = {.name = "auto",
                         .has_fields = true,
                         .wants_schema = true,
                         .format = FORMAT_PROTOBUF,
                         .read = protobuf_format_read},
    [FORMAT_JSON_SCHEMA] = {.name = "auto",
                            .has_fields = true,
                            .wants_schema = true,
                            .format = FORMAT_JSON_SCHEMA,
                            .read = json_schema_format_read},
};

const struct key_format *key_format_beside(enum format_id format)
{
    return beside[format].read != NULL ? &beside[format] : &formats[KEY_AUTO];
}
