/* What is not a field of a document into cells: the record's key, headers and own numbers. Any
 * thread. */
#ifndef ROW_RECORD_SOURCES_H
#define ROW_RECORD_SOURCES_H

#include "base/buf.h"
#include "row/cell/cell.h"
#include "row/mapping/mapping_state.h"
#include "row/message.h"

/*
 * Fills the cells from mapping_source_cell on. root is the whole value as a document (CELL_NULL
 * when null), used for SOURCE_VALUE_JSON. text holds what has to be made (headers as JSON); its
 * contents are lost. Cannot fail: bytes are taken as they are.
 */
void sources_fill(const struct mapping *m, const struct message *msg, struct cell *cells,
                  struct buf *text);

#endif
