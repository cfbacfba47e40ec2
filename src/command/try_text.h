/*
 * A record and what becomes of it, in words and as JSON. What producers sent never reaches the
 * terminal as it is; long values are cut in words, and whole in JSON. Pure. Main thread.
 */
#ifndef COMMAND_TRY_TEXT_H
#define COMMAND_TRY_TEXT_H

#include "command/try_rows.h"

/* What the bytes of a record look like, whatever its routes say. */
struct record_looks {
    enum guess value;
    enum guess key;
};

/* try_text.c: the words for one of them; "JSON", "text", "empty", "gzip: ...". */
void try_text_looks(struct str bytes, enum guess guess, bool is_key, struct buf *out);

/* Append some lines: the record; what a route makes of it. */
void try_text_record(const struct message *msg, const struct record_looks *looks, struct buf *out);
void try_text_route(const struct config *cfg, const struct tried *t, struct buf *out);

/*
 * try_json.c: one object on one line, in three pieces. begin leaves the array of routes open, which
 * each call of route continues; end closes both.
 */
void try_json_begin(const struct message *msg, const struct record_looks *looks, struct buf *out);
void try_json_route(const struct config *cfg, const struct tried *t, struct buf *out);
void try_json_end(struct buf *out);

#endif
