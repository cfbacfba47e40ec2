/*
 * From record to columns, compiled once: for each column that a route fills, where its value comes
 * from and how it is encoded. Immutable after mapping_new; shared by all workers.
 *
 * Where a value comes from, in order of precedence:
 *   1. an explicit entry of `columns:`;
 *   2. the convention: a column named _topic, _partition, _offset, _timestamp, _key or _headers;
 *   3. a format with fields: the field of the same name in the value (exact, case-sensitive, unless
 *      names says otherwise: row/cell/names.h);
 *      one without (raw): columns named topic, partition, offset, timestamp, key, value, headers.
 * A column whose entry is the word keep is not filled: an upsert leaves it as it is, and a new row
 * gets its DEFAULT. Generated columns are never filled; identity columns only by an explicit entry,
 * or from the row of a change event. One that is GENERATED ALWAYS is filled in new rows only.
 *
 * If the record lacks a value, the column gets its DEFAULT (the row omits the column:
 * target_column's omit_bit); without a DEFAULT it gets NULL, which is a fault of the record for a
 * NOT NULL column. A record lacks: a field that the document does not have, or whose parent is
 * null; every field of a value or key that is null as a whole, for Kafka (a tombstone) or as JSON;
 * a header of a name that is not there; a timestamp if it has none. NULL, and not lacking, are: an
 * explicit JSON null, a header with a null value, a whole key or value that is null. A number,
 * string or array where a path wants an object is a fault of the record, and so is a root that is
 * not an object when fields are wanted.
 *
 * With root the columns without an entry take the fields of another object of the value. If the
 * root is parsed, it is a string that holds the object as JSON, and paths lead into it by `item`.
 *
 * With explode a record makes a row of each element of an array in its value. Columns without an
 * entry then take the field of that name of the element, unless an entry takes the whole element:
 * then they take nothing. _index is meta.index. A missing, null or empty array makes no rows; a
 * value that is no array is a fault, and one bad element is a fault of the whole record. A
 * condition that names item is evaluated for each element, any other once for the record.
 *
 * A constant is a text that goes into the column's type as a header with this text would. Of
 * several values the first one counts that is there and not null. If there is none, the column is
 * NULL, or lacking if the record lacks all of them.
 *
 * An expression (`sql`) is computed by PostgreSQL over the rows of a batch. It may name value
 * (jsonb; bytea if the format has no fields), key (text), headers (jsonb), topic, partition,
 * offset, timestamp, and with explode item (jsonb) and index. Such a column is neither part of the
 * key nor a version.
 *
 * Paths, as users write them:
 *   value             the whole value         value.a.b       a field, nested
 *   key               the whole key           key.a           a field of a JSON key, if the format
 *                                                             of keys has fields
 *   headers           all headers as JSON     headers.name    the last header of that name, as text
 *   meta.topic  meta.partition  meta.offset  meta.timestamp
 *   meta.schema       the full name of what the value was written as, if the format has schemas
 *   meta.schema_id    by what the record names that schema: a number, or a GUID
 *   item              an element, with explode; a root that is parsed      item.a  a field of it
 *   meta.index        its number, from 0
 * A name with dots or odd characters is quoted: value."odd.name". A path that does not start with
 * one of these roots is an error that names them.
 */
#ifndef ROW_MAPPING_MAPPING_H
#define ROW_MAPPING_MAPPING_H

#include "base/error.h"
#include "row/cell/rules.h"
#include "row/format/format.h"
#include "row/format/key_format.h"
#include "row/schema/logical.h"
#include "row/table/table.h"

/* What happens to fields of a value that no column takes. */
enum unknown_policy { UNKNOWN_IGNORE, UNKNOWN_FAULT, UNKNOWN_COLLECT };

/* What a record is: a row, a change event (row/envelope/debezium.h) that holds one, or Kafka
 * Connect's JSON of a row and its schema (row/envelope/connect.h), which change events may be too.
 */
enum mapping_envelope { ENVELOPE_NONE, ENVELOPE_DEBEZIUM, ENVELOPE_CONNECT };

/* Which records delete the row of their key. DELETE_CHANGE: the change events of deletes. */
enum mapping_delete { DELETE_OFF, DELETE_TOMBSTONE, DELETE_CHANGE };

/* What a column may get: exactly one of a path and a constant. */
struct mapping_value {
    const char *path;
    const char *constant;
};

/* One entry of `columns:`. */
struct mapping_entry {
    const char *column;
    const char *path;                   /* or the word keep; or, when NULL, */
    const struct mapping_value *values; /* the first of these that is there and not null */
    size_t value_count;
    enum time_unit unit;
    bool parses;     /* what was found is a string that holds a JSON document, which is meant */
    const char *sql; /* instead of all of these: PostgreSQL computes it */
};

/* The part of a spec that an error refers to; MAPPING_COLUMN: see err->column. */
enum mapping_part {
    MAPPING_TABLE,
    MAPPING_COLUMN,
    MAPPING_WHEN,
    MAPPING_DELETE_WHEN,
    MAPPING_EXPLODE,
    MAPPING_ROOT,
    MAPPING_KEY,
};

/* Texts are borrowed during mapping_new only. */
struct mapping_spec {
    enum format_id format;
    enum key_format_id key_format;
    enum framing_id framing; /* of values and keys whose format wants a schema */
    enum name_policy names;  /* how fields meet the columns of their name */
    const struct mapping_entry *entries;
    size_t entry_count;
    const char *route; /* its name */
    uint32_t number;   /* of the route, for target.number */
    enum row_action action;
    const char *const *key; /* columns; key_count 0: the primary key, where the mode needs one */
    size_t key_count;
    enum mapping_delete deletes;
    enum mapping_envelope envelope;
    enum time_precision precision;    /* of change events without a schema part */
    enum decimal_texts decimal;       /* of the same */
    const char *placeholder;          /* a text: "the source does not tell this value"; or NULL */
    const char *root;                 /* the path of the object whose fields are the row; or NULL */
    bool parses_root;                 /* ... it is a string that holds that object as JSON */
    bool truncates;                   /* a truncate of the source is one of the target */
    const char *soft_delete;          /* column, or NULL */
    const char *const *only_if_newer; /* columns, in the order in which they are compared */
    size_t only_if_newer_count;
    const char *named_by;    /* the template of the table's name, for a chooser; or NULL */
    const char *explode;     /* the path of an array, or NULL */
    const char *delete_when; /* a condition: those records delete; NULL = none */
    const char *when;        /* a condition, see row/path/condition.h; NULL = every record */
    struct value_rules rules;
    enum unknown_policy unknown;
    const char *unknown_column;  /* UNKNOWN_COLLECT */
    enum mapping_part *out_part; /* NULL: not wanted */
};

struct mapping;

/*
 * Compiles a mapping onto a table. `table` must outlive it. The mapping owns its target (id
 * `target_id`). Errors (ERROR_SETUP, with a hint): an entry names no column, or a generated one; a
 * bad path; a column whose type has no encoder; a NOT NULL column without default that nothing
 * fills; no column filled at all; a source that can never be encoded into the type (a header into a
 * timestamp is fine, `headers` into int4 is not); a key without a unique index, or that is not
 * filled; a version or mark of a type that cannot be one; a condition that does not compile.
 * @thread main
 */
struct mapping *mapping_new(const struct table *table, const struct mapping_spec *spec,
                            uint32_t target_id, struct error *err) _must_;
struct mapping *mapping_free(struct mapping *m); /* returns NULL */

/*
 * As much of what mapping_new does as needs no table: paths, conditions, what explodes. ERROR_SETUP
 * with a hint and *out_part; of an entry err->column, and in *out_value which of its values.
 * @thread any
 */
bool mapping_check(const struct mapping_spec *spec, size_t *out_value, struct error *err) _must_;

const struct target *mapping_target(const struct mapping *m);

/* The privileges on its table that its mode needs, as bits of enum table_privilege. */
uint32_t mapping_needs(const struct mapping *m) _pure_;

bool mapping_wants_headers(const struct mapping *m);

/*
 * For `check`: for every column of the table, in order, one line of the plan. *out_source is where
 * the value comes from ("value.customer.name", "meta.offset"), or why the column is not filled
 * ("default", "generated", "identity", "kept", "not filled: NULL"); *out_encoding is how it goes
 * ("int8 binary", "" if unfilled). Texts live as long as the mapping.
 */
void mapping_describe(const struct mapping *m, size_t table_column, const char **out_source,
                      const char **out_encoding);

/* Appends what is done with a record: "mode upsert, key (id), a tombstone deletes". */
void mapping_describe_mode(const struct mapping *m, struct buf *out);

#endif
