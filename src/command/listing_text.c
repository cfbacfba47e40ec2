/* Listings as aligned columns, see listing_text.h. Pure. Main thread. */
#include "command/listing_text.h"

#include "base/mem.h"
#include "command/escape.h"

#define NONE "-"

static void add_name(struct buf *out, const char *name)
{
    for (; *name != '\0'; name++) {
        buf_add_u8(out, *name == '_' ? ' ' : (uint8_t) *name);
    }
}

static void add_cell(struct buf *out, const char *cell)
{
    escape_add(out, cell != NULL ? str_of(cell) : STR_LIT(NONE), '\0');
}

static size_t width_of(const struct buf *text)
{
    size_t chars = 0;

    return str_utf8(buf_str(text), &chars) ? chars : text->n;
}

/* Row 0 is the heading. */
static void render(const struct listing *l, size_t row, size_t column, struct buf *out)
{
    buf_clear(out);
    if (row == 0) {
        add_name(out, l->names[column]);
    } else {
        add_cell(out, listing_cell(l, row - 1, column));
    }
}

/* The last column is not filled up. */
static void add_row(struct buf *out, const struct listing *l, size_t row, const size_t *widths)
{
    _cleanup_buf_ struct buf text = {0};

    for (size_t column = 0; column < l->column_count; column++) {
        render(l, row, column, &text);
        size_t rest = widths[column] - width_of(&text);
        bool is_last = column + 1 == l->column_count;
        buf_fill(out, ' ', (column > 0 ? 2 : 0) + (l->are_numbers[column] ? rest : 0));
        buf_add_str(out, buf_str(&text));
        buf_fill(out, ' ', l->are_numbers[column] || is_last ? 0 : rest);
    }
}

void listing_text_add(struct buf *out, const struct listing *l, bool bold)
{
    _cleanup_mem_ size_t *widths = mem_array(MAX(l->column_count, 1), sizeof *widths);
    _cleanup_buf_ struct buf text = {0};

    if (l->row_count == 0) {
        return;
    }
    for (size_t row = 0; row <= l->row_count; row++) {
        for (size_t column = 0; column < l->column_count; column++) {
            render(l, row, column, &text);
            widths[column] = MAX(widths[column], width_of(&text));
        }
    }
    for (size_t row = 0; row <= l->row_count; row++) {
        buf_add_z(out, bold && row == 0 ? "\x1b[1m" : "");
        add_row(out, l, row, widths);
        buf_add_z(out, bold && row == 0 ? "\x1b[0m\n" : "\n");
    }
}
