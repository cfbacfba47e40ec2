/* See record.h. */
#include "row/record.h"

#include "row/fill.h"

static bool is_delete(const struct mapping *m, const struct message *msg)
{
    switch (m->deletes) {
    case DELETE_OFF:
        break;
    case DELETE_TOMBSTONE:
        return !msg->value.p;
    }
    return false;
}

static enum row_action action_of(const struct mapping *m, const struct message *msg)
{
    if (!is_delete(m, msg)) {
        return m->action;
    }
    return m->marks ? ROW_SOFT_DELETE : ROW_DELETE;
}

static bool add_row(struct decoder *d, const struct mapping *m, enum row_action action,
                    struct batch *b, struct error *err)
{
    uint64_t omit;
    if (!decoder_settle(d, m, action, &omit, err)) {
        return false;
    }
    uint32_t part = batch_part(b, &m->target, action, omit);
    if (!decoder_write(d, m, action, omit, batch_row_begin(b, part), err)) {
        return false;
    }
    batch_row_end(b, part);
    return true;
}

bool record_rows(struct decoder *d, const struct mapping *m, const struct message *msg,
                 struct batch *b, struct error *err)
{
    uint32_t mark = batch_mark(b);
    if (!decoder_read(d, m, msg, err)) {
        return false;
    }
    if (!decoder_takes(d, m) || add_row(d, m, action_of(m, msg), b, err)) {
        return true;
    }
    batch_undo(b, mark);
    return false;
}
