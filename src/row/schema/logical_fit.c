/* See logical_fit.h. */
#include "row/schema/logical_fit.h"

#include <string.h>

bool logical_is_bits(const struct column *c)
{
    return c->type == TYPE_OTHER && strncmp(c->type_name, "bit", 3) == 0;
}

static bool is_varying(const struct column *c)
{
    return logical_is_bits(c) && strncmp(c->type_name, "bit varying", 11) == 0;
}

bool logical_is_point(const struct column *c)
{
    return c->type == TYPE_OTHER && strcmp(c->type_name, "point") == 0;
}

bool logical_is_set(const struct column *c)
{
    return c->element != NULL &&
           (column_type_is_text(c->element->type) || c->element->type == TYPE_ENUM);
}

bool logical_suits(enum logical_kind kind, const struct column *c)
{
    switch (kind) {
    case LOGICAL_DAYS:
    case LOGICAL_INSTANT:
        return c->type == TYPE_DATE || column_type_is_timestamp(c->type);
    case LOGICAL_SPAN:
        return c->type == TYPE_INTERVAL;
    case LOGICAL_YEAR:
        return column_type_is_time(c->type);
    case LOGICAL_DECIMAL:
        return c->type != TYPE_BYTEA;
    case LOGICAL_SET:
        return logical_is_set(c);
    case LOGICAL_SCALED:
    case LOGICAL_ARRAY:
        return !column_type_is_json(c->type);
    case LOGICAL_JSON:
        return column_type_is_json(c->type);
    case LOGICAL_OBJECT:
        return c->type == TYPE_HSTORE;
    case LOGICAL_POINT:
        return logical_is_point(c);
    case LOGICAL_TEXT:
        return c->type == TYPE_OTHER || c->type == TYPE_COMPOSITE;
    case LOGICAL_GEOMETRY:
        return c->type == TYPE_OTHER;
    case LOGICAL_UUID:
    case LOGICAL_DURATION:
        return c->type != TYPE_BYTEA;
    case LOGICAL_ISO:
        return !column_type_is_number(c->type) && c->type != TYPE_BOOL && c->type != TYPE_BYTEA;
    case LOGICAL_BITS:
    case LOGICAL_BINARY:
    case LOGICAL_PLAIN:
        break;
    }
    return true;
}

void logical_bits_into(const struct column *c, int32_t n, struct logical *out)
{
    bool varying = is_varying(c);

    out->kind = LOGICAL_BITS;
    out->length = n;
    if (logical_is_bits(c)) {
        out->most = varying ? MAX(c->typmod, 0) : MAX(c->typmod, 1);
        out->length = varying ? 0 : out->most; /* there n is the maximum, not the length */
    } else if (column_type_is_number(c->type) || column_type_is_json(c->type) ||
               c->type == TYPE_BOOL) {
        out->bits = BITS_NUMBER;
    } else if (c->type == TYPE_BYTEA) {
        out->bits = BITS_BYTES;
    }
}

void logical_of_string(const struct column *c, const struct logical_rules *rules,
                       struct logical *out)
{
    if (c->type == TYPE_BYTEA && rules->guesses_bytes) {
        out->kind = LOGICAL_BINARY;
    } else if (column_type_is_json(c->type) && rules->has_documents) {
        out->kind = LOGICAL_JSON;
    } else if (c->type == TYPE_HSTORE && rules->has_documents) {
        out->kind = LOGICAL_OBJECT;
    }
}
