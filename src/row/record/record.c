/* See record.h. */
#include "row/record/record.h"

#include "row/mapping/mapping_state.h"

static bool is_delete(const struct decoder *d, const struct mapping *m)
{
    return (m->deletes == DELETE_TOMBSTONE && decoder_is_tombstone(d, m)) || decoder_deletes(d, m);
}

static enum row_action action_of(const struct decoder *d, const struct mapping *m)
{
    if (!is_delete(d, m)) {
        return m->action;
    }
    return m->marks ? ROW_SOFT_DELETE : ROW_DELETE;
}

static bool add_row(struct decoder *d, const struct mapping *m, enum row_action action,
                    struct batch *b, struct error *err)
{
    omit_mask omit;

    if (!decoder_settle(d, m, action, &omit, err)) {
        return false;
    }
    if (action == ROW_UPSERT && (omit & m->needed) != 0) {
        action = ROW_UPDATE; /* an INSERT would fail, even where the row is there */
    }
    uint32_t part = batch_part(b, &m->target, action, omit);
    if (!decoder_write(d, m, action, omit, batch_row_begin(b, part), err)) {
        return false;
    }
    batch_row_end(b, part);
    return true;
}

/* A record with more elements is not what anybody meant, and its rows would not fit into memory. */
#define ELEMENTS_MAX 100000
#define ELEMENTS_BYTES_MAX ((size_t) 64 << 20)

static bool is_too_much(uint32_t index, size_t bytes, struct error *err)
{
    if (index < ELEMENTS_MAX && bytes <= ELEMENTS_BYTES_MAX) {
        return false;
    }
    if (index == ELEMENTS_MAX) {
        error_set(err, ERROR_RECORD, "the array has more than %d elements", ELEMENTS_MAX);
    } else {
        error_set(err, ERROR_RECORD, "the rows of its elements have more than %zu MiB",
                  ELEMENTS_BYTES_MAX >> 20);
    }
    error_sqlstate(err, "54000");
    return true;
}

static bool add_element(struct decoder *d, const struct mapping *m, struct elements *next,
                        uint32_t index, struct batch *b, struct error *err)
{
    if (!decoder_element(d, m, next, index, err)) {
        return error_wrap(err, "element %u", index);
    }
    if (m->when_per_element && !decoder_takes(d, m)) {
        return true;
    }
    return add_row(d, m, action_of(d, m), b, err) || error_wrap(err, "element %u", index);
}

static bool add_elements(struct decoder *d, const struct mapping *m, struct batch *b,
                         struct error *err)
{
    struct elements elements;
    size_t before = b->bytes;

    if (!decoder_elements(d, m, &elements, err)) {
        return false;
    }
    for (uint32_t i = 0; elements_next(&elements); i++) {
        if (is_too_much(i, b->bytes - before, err) || !add_element(d, m, &elements, i, b, err)) {
            return false;
        }
    }
    return true;
}

/* ---- change events ---- */

/* The row is there no more: by the key it had. A history keeps the row as it was. */
static bool add_deleted(struct decoder *d, const struct mapping *m, struct batch *b,
                        struct error *err)
{
    if (m->deletes == DELETE_OFF && m->action != ROW_INSERT) {
        return true;
    }
    enum row_action action = m->action == ROW_INSERT ? ROW_INSERT
                             : m->marks              ? ROW_SOFT_DELETE
                                                     : ROW_DELETE;
    decoder_turn(d, true);
    return decoder_complete(d, m, err) && add_row(d, m, action, b, err);
}

/* The row has a new key: the one of the old key goes first. */
static bool add_updated(struct decoder *d, const struct mapping *m, struct batch *b,
                        struct error *err)
{
    if (m->action == ROW_UPSERT && decoder_moves(d, m)) {
        if (!add_deleted(d, m, b, err)) {
            return false;
        }
        decoder_turn(d, false);
    }
    return add_row(d, m, m->action, b, err);
}

static bool add_change(struct decoder *d, const struct mapping *m, struct batch *b,
                       struct error *err)
{
    switch (decoder_change(d)) {
    case CHANGE_NONE:
        return true;
    case CHANGE_CREATE:
        return add_row(d, m, m->action, b, err);
    case CHANGE_UPDATE:
        return add_updated(d, m, b, err);
    case CHANGE_DELETE:
        return add_deleted(d, m, b, err);
    case CHANGE_TRUNCATE:
        return !m->truncates || m->action == ROW_INSERT || add_row(d, m, ROW_TRUNCATE, b, err);
    }
    __builtin_unreachable();
}

static bool add_rows(struct decoder *d, const struct mapping *m, struct batch *b, struct error *err)
{
    if (!m->when_per_element && !decoder_takes(d, m)) {
        return true;
    }
    if (!decoder_judge(d, err)) {
        return false;
    }
    if (mapping_is_change(m)) {
        return add_change(d, m, b, err);
    }
    if (m->root_text != NULL && !is_delete(d, m)) {
        if (decoder_is_tombstone(d, m)) {
            return true; /* it follows a delete, and holds no row */
        }
        if (!decoder_has_root(d, m, err)) {
            return false;
        }
    }
    return m->explodes ? add_elements(d, m, b, err) : add_row(d, m, action_of(d, m), b, err);
}

/* Through a chooser: the record is read twice, by what names its table and by its columns. */
static bool add_chosen(struct decoder *d, const struct record_route *r, const struct message *msg,
                       struct batch *b, struct error *err)
{
    if (!r->mapping->when_per_element && !decoder_takes(d, r->mapping)) {
        return true;
    }
    if (!decoder_judge(d, err)) {
        return false;
    }
    if (decoder_change(d) == CHANGE_NONE) {
        return true;
    }
    const struct mapping *m = chooser_find(r->chooser, decoder_cells(d), err);
    return m != NULL && decoder_read(d, m, msg, err) && add_rows(d, m, b, err);
}

bool record_rows(struct decoder *d, const struct record_route *r, const struct message *msg,
                 struct batch *b, struct error *err)
{
    uint32_t mark = batch_mark(b);

    if (decoder_read(d, r->mapping, msg, err) &&
        (r->chooser != NULL ? add_chosen(d, r, msg, b, err) : add_rows(d, r->mapping, b, err))) {
        return true;
    }
    batch_undo(b, mark);
    return false;
}

void record_compare(const struct record_route *r, struct batch *b)
{
    if (r->chooser == NULL) {
        batch_compare(b, mapping_target(r->mapping));
        return;
    }
    const struct mapping *m;
    for (size_t i = 0; (m = chooser_table(r->chooser, i)) != NULL; i++) {
        batch_compare(b, mapping_target(m));
    }
}
