/*
 * The text of one value, expanded, or the word that it is. Knows no kind of option and no field.
 * Messages show a value as the file has it, never expanded. Main thread.
 */
#include "base/ascii.h"
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

typedef bool expander(struct str text, const char *dir, struct buf *out, struct error *err);

/* A word in the place of a reference that could not be read: the same for the same reference, so
 * that equal values stay equal and others differ. */
static void add_stand_in(struct str reference, struct buf *out)
{
    for (size_t i = 2; i + 1 < reference.n; i++) {
        char c = ascii_lower(reference.p[i]);
        bool fits = (c >= 'a' && c <= 'z') || ascii_is_digit(c);
        buf_add(out, fits ? &c : "_", 1);
    }
}

/*
 * The text with stand-ins for what cannot be read, in a connection string only where a value is to
 * stand: elsewhere the reference may be for keywords with their values. False: there are none.
 */
static bool stand_in(struct load *l, struct str text, bool is_dsn, struct buf *out)
{
    struct error ignored;
    bool lacks = false;

    while (text.n > 0) {
        _cleanup_buf_ struct buf piece = {0};
        struct str before = text;
        size_t n = expand_reference(text);
        bool known = n == 0 || !expand_is_well_formed((struct str){text.p, n}) ||
                     expand_next(&text, l->dir, &piece, &ignored) != EXPAND_FAILED;
        if (n == 0) {
            n = str_starts(text, "$${") ? 3 : 1;
        }
        text = (struct str){before.p + n, before.n - n};
        bool alone = out->n == 0 || ascii_is_space((char) out->p[out->n - 1]);
        if (known) {
            buf_add(out, before.p, n);
        } else if (!is_dsn || !alone) {
            add_stand_in((struct str){before.p, n}, out);
        }
        lacks |= !known;
    }
    return lacks;
}

static bool expand_or_lack(struct load *l, struct str text, expander *expand, struct buf *out,
                           bool *out_lacks)
{
    _cleanup_buf_ struct buf known = {0};

    *out_lacks = l->cfg->source->without_secrets && stand_in(l, text, expand == expand_dsn, &known);
    return expand(*out_lacks ? buf_str(&known) : text, l->dir, out, l->err);
}

static bool read_text(struct load *l, const struct yaml_node *n, const char *label,
                      expander *expand, struct str *out)
{
    bool lacks;
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
    if (!expand_or_lack(l, n->text, expand, &expanded, &lacks)) {
        error_wrap(l->err, "'%s'", label);
        config_error_locate(l->cfg, n->pos, l->err);
        return false;
    }
    source_add(l->cfg->source, n->pos, n->text, lacks);
    *out = expanded.n > 0 ? arena_copy(&l->doc.arena, buf_str(&expanded)) : STR_LIT("");
    return true;
}

bool value_lacks(struct load *l, const struct option *o, const struct yaml_node *n)
{
    _cleanup_buf_ struct buf ignored = {0};
    bool is_text = o->kind == OPTION_TEXT || o->kind >= OPTION_PROPERTIES;

    if (is_text || l->cfg->source == NULL || !l->cfg->source->without_secrets ||
        n->kind != YAML_SCALAR || !stand_in(l, n->text, false, &ignored)) {
        return false;
    }
    source_add(l->cfg->source, n->pos, n->text, true);
    return true;
}

bool value_text(struct load *l, const struct yaml_node *n, const char *label, struct str *out)
{
    return read_text(l, n, label, expand_text, out);
}

bool value_check_cut(struct load *l, const struct yaml_node *n, const char *label)
{
    if (!n->cut) {
        return true;
    }
    load_error(l, n->pos, "'%s' ends before ' #', where a comment begins", label);
    return error_hint(l->err, "If # belongs to the value, put quotes around all of it; if not, put "
                              "a blank after #.");
}

bool value_option_text(struct load *l, const struct option *o, const struct yaml_node *n,
                       const char *label, struct str *out)
{
    bool is_secret = (o->flags & (DSN | SECRET | URLS)) != 0;

    if (is_secret && !value_check_cut(l, n, label)) {
        return false;
    }
    return read_text(l, n, label, (o->flags & DSN) != 0 ? expand_dsn : expand_text, out);
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
    const char *foreign = option_foreign_value(label, n->text);
    if (foreign != NULL) {
        return error_hint(l->err, "%s", foreign);
    }
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
