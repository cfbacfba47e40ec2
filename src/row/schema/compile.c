/* The languages of schemas, and who reads them. */
#include "row/schema/compile.h"

#include "row/schema/avro_schema.h"
#include "row/schema/json_schema.h"
#include "row/schema/protobuf_schema.h"

typedef bool (*schema_reader)(struct str text, const struct schema_part *refs, size_t ref_count,
                              const struct schema **out, struct error *err);

/* NULL: a language that is not read here. A reader's arguments are those of schema_compile. */
static const schema_reader readers[] = {
    [SCHEMA_AVRO] = avro_schema_read,
    [SCHEMA_PROTOBUF] = protobuf_schema_read,
    [SCHEMA_JSON] = json_schema_read,
    [SCHEMA_CONNECT] = NULL,
};

bool schema_compile(enum schema_language language, struct str text, const struct schema_part *refs,
                    size_t ref_count, const struct schema **out, struct error *err)
{
    if (readers[language] == NULL) {
        return error_set(err, ERROR_SETUP, "this build of pgsinkd does not read schemas of type %s",
                         schema_language_name(language));
    }
    return readers[language](text, refs, ref_count, out, err);
}
