/* What one read leaves in the scratch memory. The thread of its owner. */
#include "base/mem.h"
#include "row/format/format.h"
#include "row/format/shape_json.h"

/* More memory than that is not kept from one record to the next. */
enum { KEEP_BYTES = 16 << 20 };

void format_scratch_begin(struct format_scratch *s, size_t count)
{
    s->is_odd = false;
    s->node_count = count;
    if (s->node_cap < count) {
        s->nodes = mem_realloc(s->nodes, count, sizeof *s->nodes);
        s->node_cap = count;
    }
    for (size_t i = 0; i < count; i++) {
        s->nodes[i].shape = NULL;
        s->nodes[i].json_n = 0;
    }
    s->has_json = false;
    buf_clear(&s->json);
    buf_shrink(&s->json, KEEP_BYTES);
}

void format_scratch_json(struct format_scratch *s, uint32_t node, size_t json_at)
{
    s->nodes[node].json_at = json_at;
    s->nodes[node].json_n = s->json.n - json_at;
    s->has_json = true;
}

void format_scratch_end(struct format_scratch *s, struct cell *cells)
{
    if (!s->has_json) {
        return;
    }
    buf_fill(&s->json, 0, FIELD_PADDING);
    for (size_t i = 0; i < s->node_count; i++) {
        const struct format_node *node = &s->nodes[i];
        if (node->json_n > 0 && cells[i].kind != CELL_ABSENT) {
            const char *p = (const char *) s->json.p + node->json_at;
            shape_cell_json(&cells[i], (struct str){.p = p, .n = node->json_n});
        }
    }
}

const struct shape *format_node_shape(const struct format_scratch *s, uint32_t node)
{
    return node < s->node_count ? s->nodes[node].shape : NULL;
}
