/*
 * What the parts of the loader share: errors at a place in the file, hints, and the label of an
 * entry. Reads no value itself and knows no option. Main thread.
 */
#include "config/load.h"

#include <stdio.h>

bool load_error(struct load *l, struct position pos, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    position_verror(l->cfg->path, pos, l->err, fmt, args);
    va_end(args);
    return false;
}

void load_note(struct load *l)
{
    (void) config_faults_add(l->faults, l->err);
}

bool load_hint_nearest(struct load *l, struct str given, const char *const *names, size_t n)
{
    _cleanup_buf_ struct buf list = {0};
    struct shown shown = shown_of(given);
    const char *nearest = str_nearest(shown.text, names, n);

    if (nearest != NULL) {
        return error_hint(l->err, "Did you mean '%s'?", nearest);
    }
    if (n == 1) {
        return error_hint(l->err, "It can only be '%s'.", names[0]);
    }
    for (size_t i = 0; i < n; i++) {
        buf_printf(&list, "%s'%s'", i > 0 ? ", " : "", names[i]);
    }
    return error_hint(l->err, "It must be one of %s.", buf_cstr(&list));
}

bool load_expect(struct load *l, const struct yaml_node *n, enum yaml_kind kind, const char *label,
                 const char *what)
{
    if (n->kind == kind) {
        return true;
    }
    return load_error(l, n->pos, "'%s' takes %s, not %s", label, what, yaml_node_kind_name(n));
}

const char *load_entry_label(const char *what, struct str key, char out[static 2 * SHOWN_MAX])
{
    snprintf(out, 2 * SHOWN_MAX, "%s%s", what, shown_of(key).text);
    return out;
}
