/* What a change event did. */
#ifndef ROW_ENVELOPE_CHANGE_H
#define ROW_ENVELOPE_CHANGE_H

/*
 * What a change event did to its row; of other records CHANGE_CREATE. CHANGE_NONE: nothing that
 * concerns a row.
 */
enum change_op { CHANGE_NONE, CHANGE_CREATE, CHANGE_UPDATE, CHANGE_DELETE, CHANGE_TRUNCATE };

#endif
