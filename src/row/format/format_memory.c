/*
 * The beginning and the end of scratch memory: apart from what readers call, because it frees the
 * plans of all of them. The thread of its owner.
 */
#include "row/format/avro_plan.h"
#include "row/format/format.h"
#include "row/format/json_schema_format.h"
#include "row/format/protobuf_format.h"
#include "row/json/document.h"

#include <stdlib.h>

void format_scratch_init(struct format_scratch *s)
{
    *s = (struct format_scratch){.document = document_new()};
}

void format_scratch_done(struct format_scratch *s)
{
    s->document = document_free(s->document);
    s->avro = avro_plans_free(s->avro);
    s->protobuf = protobuf_plans_free(s->protobuf);
    s->json_schema = json_schema_plans_free(s->json_schema);
    buf_done(&s->json);
    free(s->nodes);
    *s = (struct format_scratch){0};
}
