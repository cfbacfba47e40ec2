/* What types.def says, as a table. Pure; any thread. */
#include "row/table/column_type.h"

#include <string.h>

enum wire { WIRE_BINARY, WIRE_CAST, WIRE_NUMERIC };
enum storage { STORAGE_INLINE, STORAGE_TOASTABLE };

static const struct traits {
    const char *name;
    uint32_t oid;
    uint32_t array_oid;
    const char *kind; /* NULL: it is known by its number alone */
    enum column_family family;
    enum wire wire;
    enum storage storage;
    enum column_equality equality;
} traits[] = {
#define COLUMN_TYPE(tag, its_name, its_oid, its_array_oid, its_kind, its_family, its_wire,         \
                    its_storage, its_equality, encoder, logical)                                   \
    [TYPE_##tag] = {                                                                               \
        .name = (its_name),                                                                        \
        .oid = (its_oid),                                                                          \
        .array_oid = (its_array_oid),                                                              \
        .kind = (its_kind),                                                                        \
        .family = FAMILY_##its_family,                                                             \
        .wire = WIRE_##its_wire,                                                                   \
        .storage = STORAGE_##its_storage,                                                          \
        .equality = EQUAL_##its_equality,                                                          \
    },
#include "row/table/types.def"
};

enum column_type column_type_find(uint32_t oid, const char *kind)
{
    for (int t = 0; t < COLUMN_TYPES; t++) {
        if (traits[t].oid != 0 && traits[t].oid == oid) {
            return (enum column_type) t;
        }
    }
    for (int t = 0; t < COLUMN_TYPES; t++) {
        if (traits[t].kind != NULL && strcmp(traits[t].kind, kind) == 0) {
            return (enum column_type) t;
        }
    }
    return TYPE_OTHER;
}

const char *column_type_name(enum column_type t)
{
    return traits[t].name;
}

uint32_t column_type_oid(enum column_type t)
{
    return traits[t].oid;
}

uint32_t column_type_array_oid(enum column_type t)
{
    return traits[t].array_oid;
}

enum column_family column_type_family(enum column_type t)
{
    return traits[t].family;
}

enum column_equality column_type_equality(enum column_type t)
{
    return traits[t].equality;
}

bool column_type_is_cast(enum column_type t)
{
    return traits[t].wire != WIRE_BINARY;
}

enum column_type column_type_sent_as(enum column_type t)
{
    switch (traits[t].wire) {
    case WIRE_BINARY:
        break;
    case WIRE_CAST:
        return TYPE_TEXT;
    case WIRE_NUMERIC:
        return TYPE_NUMERIC;
    }
    return t;
}

bool column_type_is_toastable(enum column_type t)
{
    return traits[t].storage == STORAGE_TOASTABLE;
}
