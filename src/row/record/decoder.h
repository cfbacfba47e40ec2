/*
 * From one Kafka record to one encoded row, in two steps: read the record into cells as its mapping
 * says, then write the cells as one COPY BINARY tuple (int16 number of fields, then for each an
 * int32 length or -1 and the bytes in PostgreSQL's send format). Between the two the caller knows
 * which columns the row omits, and so into which COPY it belongs. No I/O, no clock. A decoder holds
 * scratch memory and belongs to one thread.
 */
#ifndef ROW_RECORD_DECODER_H
#define ROW_RECORD_DECODER_H

#include "base/buf.h"
#include "base/error.h"
#include "row/envelope/change.h"
#include "row/json/elements.h"
#include "row/mapping/mapping.h"
#include "row/message.h"
#include "row/schema/schema_ref.h"

struct decoder;

struct decoder *decoder_new(void) _must_;
struct decoder *decoder_free(struct decoder *d); /* returns NULL */

/*
 * What a ref names from now on: a schema, of which the decoder takes a reference; or none, and why,
 * which it copies: ERROR_RECORD, ERROR_SETUP; or, both being NULL, the decoder forgets it.
 */
void decoder_learn(struct decoder *d, const struct schema_ref *ref, const struct schema *schema,
                   const struct error *fault);

/* The schema without which the record could not be read, after an error of class ERROR_AGAIN; NULL:
 * none was lacking. It is to be learned, and then the record is read again. */
const struct schema_ref *decoder_lacks(const struct decoder *d) _pure_;

/*
 * Reads msg into the decoder's cells, which stay valid until the next decoder_read or until msg
 * goes. ERROR_RECORD: the value or the key is not what the format says. ERROR_SETUP: a schema
 * cannot be used. ERROR_AGAIN: decoder_lacks.
 */
bool decoder_read(struct decoder *d, const struct mapping *m, const struct message *msg,
                  struct error *err) _must_;

/*
 * For a mapping with explode: the elements of the record read last; they live as long as its cells.
 * ERROR_RECORD: what should be an array is not one.
 */
bool decoder_elements(struct decoder *d, const struct mapping *m, struct elements *out,
                      struct error *err) _must_;

/* Reads the next element into the cells, beside those of the record; index counts from 0. */
bool decoder_element(struct decoder *d, const struct mapping *m, struct elements *next,
                     uint32_t index, struct error *err) _must_;

/* What was read, by the numbers of the mapping's cells. */
const struct cell *decoder_cells(const struct decoder *d);

/* The shape with which the value of a cell was written; NULL: it is not known, or there is none. */
const struct shape *decoder_shape(const struct decoder *d, const struct mapping *m,
                                  uint32_t cell) _pure_;

/* What the record read last did. */
enum change_op decoder_change(const struct decoder *d);

/* Has the change event that was read last changed the key of its row? */
bool decoder_moves(const struct decoder *d, const struct mapping *m);

/* Selects the row image that later calls use: before the change, or after it. */
void decoder_turn(struct decoder *d, bool before);

/*
 * Fills in from the record's key what the row before the change lacks of its own key. ERROR_RECORD:
 * the record's key is not what its format says. ERROR_SETUP, ERROR_AGAIN: as decoder_read.
 */
bool decoder_complete(struct decoder *d, const struct mapping *m, struct error *err) _must_;

/*
 * Is what was read a record of the route at all? To be asked after the condition, so that it may
 * leave out what else is in the topic. ERROR_RECORD: no change event; an object of exactly schema
 * and payload; a root that is no JSON. ERROR_SETUP: the schema of its key cannot be used.
 */
bool decoder_judge(const struct decoder *d, struct error *err) _must_;

/*
 * Is the object there whose fields are the row, of a mapping with a root? ERROR_RECORD if not. Not
 * for records that delete.
 */
bool decoder_has_root(const struct decoder *d, const struct mapping *m, struct error *err) _must_;

/* Is its value null, for Kafka or in Kafka Connect's wrapper? */
bool decoder_is_tombstone(const struct decoder *d, const struct mapping *m);

/* Does the mapping's condition hold for what was read? took: has it, for this record or any of its
 * elements, since it was read? */
bool decoder_takes(struct decoder *d, const struct mapping *m);
bool decoder_took(const struct decoder *d);

/* Does its delete_when hold? */
bool decoder_deletes(const struct decoder *d, const struct mapping *m);

/*
 * Checks whether what was read makes a row for that action. *out_omit has the omit_bit set of each
 * column with a DEFAULT that the record does not fill, or is OMIT_MIXED. ERROR_RECORD with
 * err->column set: "column 'id': field 'id' is missing and the column is NOT NULL without a
 * default".
 */
bool decoder_settle(struct decoder *d, const struct mapping *m, enum row_action action,
                    omit_mask *out_omit, struct error *err) _must_;

/*
 * Appends the row to out. On failure out is as before and err is ERROR_RECORD: "column 'amount':
 * 99999 is out of range for int2". No value longer than about 60 bytes is quoted.
 */
bool decoder_write(struct decoder *d, const struct mapping *m, enum row_action action,
                   omit_mask omit, struct buf *out, struct error *err) _must_;

#endif
