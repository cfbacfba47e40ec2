/* The encoders of the single types; only the files of row/encode/ include this. Pure; any thread.
 */
#ifndef ROW_ENCODE_ENCODE_TYPES_H
#define ROW_ENCODE_ENCODE_TYPES_H

#include "row/encode/encoding.h"
#include "row/text/decimal.h"

/* Appends length and bytes of a value that is neither CELL_ABSENT nor CELL_NULL. False: v->err is
 * filled. */
typedef bool encode_fn(const struct encoding *v);

encode_fn encode_bool;
encode_fn encode_int2;
encode_fn encode_int4;
encode_fn encode_int8;
encode_fn encode_float4;
encode_fn encode_float8;
encode_fn encode_numeric;
encode_fn encode_money;
encode_fn encode_text; /* text, varchar, bpchar; other types as their text */
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
encode_fn encode_hstore;

/* An array; `element` encodes one of its elements, and may get one that is null. */
bool encode_array_of(const struct encoding *v, encode_fn *element);

/* Removes or replaces U+0000 as the policy says, in the scratch memory; or a fault. */
bool encode_without_nul(const struct encoding *v, struct str *s);

/* Is s a JSON document? For bytes that have not been checked. */
bool encode_check_json(const struct encoding *v, struct str s);

/* Can numeric hold d? PostgreSQL's numeric.c: int16 weight, 14 bits of scale. */
bool numeric_holds(const struct decimal *d) _pure_;

#endif
