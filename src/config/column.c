/*
 * The entries of `columns`, from a path alone to a list of values. Paths, constants and SQL stay
 * texts: row/ parses them when the table is known. Main thread.
 */
#include "base/mem.h"
#include "config/load.h"

#define VALUES_MAX 32
#define SQL_MAX 8192

static struct config_value *add_value(struct config_column *c, const struct yaml_node *n)
{
    struct config_value *v = &c->values[c->value_count++];

    v->pos = n->pos;
    return v;
}

static bool read_path(struct load *l, const struct yaml_node *n, const char *label,
                      struct config_column *out)
{
    struct str path;

    if (!value_text(l, n, label, &path)) {
        return false;
    }
    if (path.n == 0) {
        return load_error(l, n->pos, "'%s' is an empty path", label);
    }
    add_value(out, n)->path = mem_strndup(path.p, path.n);
    return true;
}

static bool read_constant(struct load *l, const struct yaml_node *n, const char *label,
                          struct config_column *out)
{
    struct str text;

    if (!value_text(l, n, label, &text)) {
        return false;
    }
    add_value(out, n)->constant = mem_strndup(text.p, text.n);
    return true;
}

/* One value of coalesce: a path, or {const: text}. */
static bool read_alternative(struct load *l, const struct yaml_node *n, const char *label,
                             struct config_column *out)
{
    if (n->kind != YAML_MAP) {
        return read_path(l, n, label, out);
    }
    if (n->count != 1 || !str_eq_z(n->first->key, "const")) {
        load_error(l, n->pos, "'coalesce' in '%s' takes only paths and {const: text}", label);
        return false;
    }
    return read_constant(l, n->first, label, out);
}

static bool read_coalesce(struct load *l, const struct yaml_node *n, const char *label,
                          struct config_column *out)
{
    if (!load_expect(l, n, YAML_LIST, label, "a list of paths in 'coalesce'")) {
        return false;
    }
    if (n->count < 2 || n->count > VALUES_MAX) {
        return load_error(l, n->pos, "'coalesce' in '%s' takes 2 to %d values, not %zu", label,
                          VALUES_MAX, n->count);
    }
    out->is_list = true;
    for (const struct yaml_node *child = n->first; child != NULL; child = child->next) {
        if (!read_alternative(l, child, label, out)) {
            return false;
        }
    }
    return true;
}

static bool read_unit(struct load *l, const struct yaml_node *n, struct config_column *out)
{
    int value;

    if (!value_word(l, n, "unit", option_units(), &value)) {
        return false;
    }
    out->unit = (enum config_unit) value;
    out->unit_pos = n->pos;
    return true;
}

static bool read_parse(struct load *l, const struct yaml_node *n, struct config_column *out)
{
    int value;

    if (!value_word(l, n, "parse", option_parses(), &value)) {
        return false;
    }
    out->parse = (enum config_parse) value;
    out->parse_pos = n->pos;
    return true;
}

static bool read_sql(struct load *l, const struct yaml_node *n, const char *label,
                     struct config_column *out)
{
    struct str text;

    if (!value_text(l, n, label, &text)) {
        return false;
    }
    if (text.n == 0 || text.n > SQL_MAX) {
        return load_error(l, n->pos, "'sql' in '%s' takes an expression of 1 to %d bytes", label,
                          SQL_MAX);
    }
    out->sql = mem_strndup(text.p, text.n);
    out->sql_pos = n->pos;
    return true;
}

static bool read_column_key(struct load *l, const struct yaml_node *n, const char *label,
                            struct config_column *out)
{
    static const char *const names[] = {"from", "const", "coalesce", "sql", "unit", "parse"};

    if (str_eq_z(n->key, "unit")) {
        return read_unit(l, n, out);
    }
    if (str_eq_z(n->key, "parse")) {
        return read_parse(l, n, out);
    }
    if (out->value_count > 0 || out->sql != NULL) {
        return load_error(l, n->key_pos, "'%s' already has a value", label);
    }
    if (str_eq_z(n->key, "from")) {
        return read_path(l, n, label, out);
    }
    if (str_eq_z(n->key, "const")) {
        return read_constant(l, n, label, out);
    }
    if (str_eq_z(n->key, "coalesce")) {
        return read_coalesce(l, n, label, out);
    }
    if (str_eq_z(n->key, "sql")) {
        return read_sql(l, n, label, out);
    }
    load_error(l, n->key_pos, "unknown key '%s' in '%s'", shown_of(n->key).text, label);
    return load_hint_nearest(l, n->key, names, ARRAY_LEN(names));
}

/* {from: path, unit: ms}, {from: path, parse: json}, {const: text}, {coalesce: [path, ...]}, {sql:
 * expression} */
static bool read_column_map(struct load *l, const struct yaml_node *n, const char *label,
                            struct config_column *out)
{
    for (const struct yaml_node *child = n->first; child != NULL; child = child->next) {
        if (!read_column_key(l, child, label, out)) {
            return false;
        }
    }
    if (out->sql != NULL && out->unit != CONFIG_UNIT_NONE) {
        return load_error(l, out->unit_pos, "'unit' does not go with 'sql' in '%s'", label);
    }
    if (out->sql != NULL && out->parse != CONFIG_PARSE_NONE) {
        load_error(l, out->parse_pos, "'parse' does not go with 'sql' in '%s'", label);
        return error_hint(l->err, "In SQL a string becomes a document by a cast: "
                                  "(value->>'x')::jsonb");
    }
    if (out->value_count == 0 && out->sql == NULL) {
        return load_error(l, n->pos, "missing 'from' in '%s'", label);
    }
    return true;
}

static bool read_column(struct load *l, const struct yaml_node *n, struct config_column *out)
{
    char label[2 * SHOWN_MAX];

    load_entry_label("columns.", n->key, label);
    if (n->key.n == 0) {
        return load_error(l, n->key_pos, "a column without a name");
    }
    out->column = mem_strndup(n->key.p, n->key.n);
    out->pos = n->key_pos;
    out->values = mem_array(VALUES_MAX, sizeof *out->values);
    if (n->kind == YAML_MAP) {
        return read_column_map(l, n, label, out);
    }
    return read_path(l, n, label, out);
}

bool column_read(struct load *l, const struct yaml_node *n, struct config_columns *out)
{
    if (yaml_node_is_null(n)) {
        return true;
    }
    if (!load_expect(l, n, YAML_MAP, "columns", "a mapping of columns to paths")) {
        return false;
    }
    out->items = mem_array(MAX(n->count, (size_t) 1), sizeof *out->items);
    for (const struct yaml_node *child = n->first; child != NULL; child = child->next) {
        out->count += 1; /* first, so that a half-read entry is freed */
        if (!read_column(l, child, &out->items[out->count - 1])) {
            load_note(l);
        }
    }
    return true;
}
