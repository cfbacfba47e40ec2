/* Reading a record's documents and the rest of it into cells; only row/record/decoder.c includes
 * it. One thread. */
#ifndef ROW_FORMAT_JSON_FORMAT_H
#define ROW_FORMAT_JSON_FORMAT_H

#include "row/json/document.h"
#include "row/mapping/mapping_state.h"
#include "row/message.h"

/*
 * The fields that f asks for, cells[0] being the whole document; an absent text is null. `what` is
 * its name in faults: "value", "key".
 */
bool decode_json_fields(const char *what, const struct fields *f, struct document *d,
                        struct str text, struct cell *cells, struct error *err) _must_;

/*
 * The fields of the value, cells[0] being the whole of it. A null value, Kafka's or JSON's, has no
 * fields. Fault: not valid JSON; not an object although fields are wanted.
 */
bool decode_json_value(const struct mapping *m, struct document *d, const struct message *msg,
                       struct cell *cells, struct error *err) _must_;

/* The fields of an element, in the same way, from mapping_item_cell on. */
bool decode_json_item(const struct mapping *m, struct document *d, struct str text,
                      struct cell *cells, struct error *err) _must_;

/* The fields of the key, in the same way, from mapping_key_cell on. */
bool decode_json_key(const struct mapping *m, struct document *d, const struct message *msg,
                     struct cell *cells, struct error *err) _must_;

#endif
