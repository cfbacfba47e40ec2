/* The encoders of the single types; only row/encode*.c include this. Pure; any thread. */
#ifndef ROW_ENCODE_ENCODE_TYPES_H
#define ROW_ENCODE_ENCODE_TYPES_H

#include "row/encode/encode.h"
#include "row/text/decimal.h"

/* Appends length and bytes of what is neither CELL_ABSENT nor CELL_NULL; false = v->err is filled.
 */
typedef bool encode_fn(const struct value *v);

encode_fn encode_bool;
encode_fn encode_int2;
encode_fn encode_int4;
encode_fn encode_int8;
encode_fn encode_float4;
encode_fn encode_float8;
encode_fn encode_numeric;
encode_fn encode_text; /* text, varchar, bpchar, and of other types their text */
encode_fn encode_bytea;
encode_fn encode_uuid;
encode_fn encode_json;
encode_fn encode_jsonb;
encode_fn encode_date;
encode_fn encode_time;
encode_fn encode_timestamp;
encode_fn encode_timestamptz;
encode_fn encode_interval;
encode_fn encode_inet;    /* cidr too */
encode_fn encode_macaddr; /* macaddr8 too */
encode_fn encode_enum;
encode_fn encode_array;
encode_fn encode_hstore;

/*
 * The text of a scalar as an input function would read it: of a number, a boolean, a string, bytes.
 * digits is room for CELL_INT. False for an object or an array.
 */
struct digits {
    char text[24];
};
bool encode_text_of(const struct value *v, struct digits *digits, struct str *out);

/* Without U+0000, as the policy says, in the scratch memory if there is one; or a fault. */
bool encode_without_nul(const struct value *v, struct str *s);

/* Is s a JSON document? Bytes that nobody has looked at. */
bool encode_check_json(const struct value *v, struct str s);

/* The column's type as errors name it: "int4", and the name of one that is not built in. */
const char *value_type_name(const struct value *v);

/* "<value> is not a <type>": the fault of everything that does not fit otherwise. */
bool value_misfit(const struct value *v);
bool value_out_of_range(const struct value *v);

/* Does numeric have room for d? PostgreSQL's numeric.c: int16 weight, 14 bits of scale. */
bool numeric_holds(const struct decimal *d) _pure_;

#endif
