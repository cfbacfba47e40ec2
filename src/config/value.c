/*
 * The text of one value, expanded, or the word that it is. Knows no kind of option and no field.
 * Messages show a value as the file has it, never expanded. Main thread.
 */
#include "config/expand.h"
#include "config/load.h"
#include "config/source.h"

#include <stdio.h>
#include <string.h>

const char *value_label(const struct option *o, char out[static SHOWN_MAX])
{
    bool bare = strcmp(o->section, SECTION_ROOT) == 0 || strcmp(o->section, SECTION_ROUTE) == 0;

    snprintf(out, SHOWN_MAX, "%s%s%s", bare ? "" : o->section, bare ? "" : ".", o->name);
    return out;
}

bool value_text(struct load *l, const struct yaml_node *n, const char *label, struct str *out)
{
    _cleanup_buf_ struct buf expanded = {0};

    if (yaml_node_is_null(n)) {
        load_error(l, n->pos, "'%s' has no value", label);
        error_hint(l->err, "Write a value after the colon; \"\" is an empty text.");
        return false;
    }
    if (n->kind != YAML_SCALAR) {
        load_error(l, n->pos, "'%s' takes a single value, not %s", label, yaml_node_kind_name(n));
        return false;
    }
    if (!expand_needed(n->text)) {
        *out = n->text;
        return true;
    }
    if (!expand_text(n->text, l->dir, &expanded, l->err)) {
        error_wrap(l->err, "'%s'", label);
        config_error_locate(l->cfg, n->pos, l->err);
        return false;
    }
    source_add(l->cfg->source, n->pos, n->text);
    *out = expanded.n > 0 ? arena_copy(&l->doc.arena, buf_str(&expanded)) : STR_LIT("");
    return true;
}

/* ---- words ---- */

#define WORDS_MAX 16

static bool word_unknown(struct load *l, const struct yaml_node *n, const char *label,
                         struct option_words words)
{
    const char *names[WORDS_MAX] = {0};
    size_t count = MIN(words.count, ARRAY_LEN(names));

    for (size_t i = 0; i < count; i++) {
        names[i] = words.items[i].text;
    }
    load_error(l, n->pos, "'%s' cannot be '%s'", label, shown_of(n->text).text);
    return load_hint_nearest(l, n->text, names, count);
}

bool value_word(struct load *l, const struct yaml_node *n, const char *label,
                struct option_words words, int *out)
{
    struct str text;

    if (!value_text(l, n, label, &text)) {
        return false;
    }
    for (size_t i = 0; i < words.count; i++) {
        if (str_eq_z(text, words.items[i].text)) {
            *out = words.items[i].value;
            return true;
        }
    }
    return word_unknown(l, n, label, words);
}
