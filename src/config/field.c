/*
 * One value into its field, by the kind of its option. Knows no sections. Messages show a value as
 * the file has it, never expanded, and a text option's value not at all. Main thread.
 */
#include "base/ascii.h"
#include "base/mem.h"
#include "config/expand.h"
#include "config/load.h"
#include "config/units.h"

#include <assert.h>
#include <string.h>

static bool read_word(struct load *l, const struct option *o, const struct yaml_node *n,
                      const char *label, void *field)
{
    int value;

    if (!value_word(l, n, label, o->words, &value)) {
        return false;
    }
    memcpy(field, &value, sizeof value);
    return true;
}

/* ---- numbers ---- */

static bool number_range(struct load *l, const struct option *o, const struct yaml_node *n,
                         const char *label)
{
    _cleanup_buf_ struct buf min = {0};
    _cleanup_buf_ struct buf max = {0};

    option_print_number(o->kind, o->min, &min);
    option_print_number(o->kind, o->max, &max);
    return load_error(l, n->pos, "'%s' must be from %s to %s, not %s", label, buf_cstr(&min),
                      buf_cstr(&max), shown_of(n->text).text);
}

static bool number_bad(struct load *l, const struct option *o, const struct yaml_node *n,
                       const char *label)
{
    struct shown shown = shown_of(n->text);

    if (o->kind == OPTION_SIZE) {
        load_error(l, n->pos, "'%s' must be a size such as 16MiB, not '%s'", label, shown.text);
        return error_hint(l->err,
                          "Units: B, kB, MB, GB (powers of 1000), KiB, MiB, GiB (powers of 1024).");
    }
    if (o->kind == OPTION_DURATION) {
        load_error(l, n->pos, "'%s' must be a duration such as 5s, not '%s'", label, shown.text);
        return error_hint(l->err, "Units: ms, s, m, h.");
    }
    return load_error(l, n->pos, "'%s' must be a whole number, not '%s'", label, shown.text);
}

static enum units_result parse_number(enum option_kind kind, struct str text, uint64_t *out)
{
    if (kind == OPTION_SIZE) {
        return units_size(text, out);
    }
    return kind == OPTION_DURATION ? units_duration(text, out) : units_number(text, out);
}

/* "5" in quotes is a text. But "${N}" needs its quotes in [...] and {...}, so it may have them. */
static bool check_plain(struct load *l, const struct yaml_node *n, const char *label,
                        const char *what)
{
    if (n->plain || expand_needed(n->text)) {
        return true;
    }
    return load_error(l, n->pos, "'%s' must be %s, not a quoted text", label, what);
}

static bool read_number(struct load *l, const struct option *o, const struct yaml_node *n,
                        const char *label, uint64_t *out)
{
    struct str text;
    uint64_t value;

    if (!value_text(l, n, label, &text)) {
        return false;
    }
    if (o->kind == OPTION_U32 && !check_plain(l, n, label, "a number")) {
        return false;
    }
    switch (parse_number(o->kind, text, &value)) {
    case UNITS_OK:
        break;
    case UNITS_RANGE:
        return number_range(l, o, n, label);
    case UNITS_NO_UNIT:
        load_error(l, n->pos, "'%s' needs a unit", label);
        return error_hint(l->err, "Units: ms, s, m, h.");
    case UNITS_BAD:
        return number_bad(l, o, n, label);
    }
    if (value < o->min || value > o->max) {
        return number_range(l, o, n, label);
    }
    *out = value;
    return true;
}

static bool read_u32(struct load *l, const struct option *o, const struct yaml_node *n,
                     const char *label, uint32_t *out)
{
    uint64_t value;

    if (!read_number(l, o, n, label, &value)) {
        return false;
    }
    *out = (uint32_t) value; /* o->max fits */
    return true;
}

/* ---- other kinds ---- */

#define RATE_PER_MIN USEC_PER_SEC
#define RATE_PER_MAX (24 * 3600 * USEC_PER_SEC)

static bool read_bool(struct load *l, const struct yaml_node *n, const char *label, bool *out)
{
    struct str text;

    if (!value_text(l, n, label, &text) || !check_plain(l, n, label, "true or false")) {
        return false;
    }
    if (units_bool(text, out) != UNITS_OK) {
        return load_error(l, n->pos, "'%s' must be true or false, not '%s'", label,
                          shown_of(n->text).text);
    }
    return true;
}

/* Messages leave the value out: a text may be a secret, such as a connection string. */
static bool read_text(struct load *l, const struct option *o, const struct yaml_node *n,
                      const char *label, char **out)
{
    struct str text;

    if (!value_option_text(l, o, n, label, &text)) {
        return false;
    }
    if (text.n < o->min) {
        return load_error(l, n->pos, "'%s' is empty", label);
    }
    if (o->max != 0 && text.n > o->max) {
        return load_error(l, n->pos, "'%s' is longer than %llu bytes", label,
                          (unsigned long long) o->max);
    }
    mem_freep(out);
    *out = mem_strndup(text.p, text.n);
    return true;
}

/* The only option with a second field: a time also sets kafka.start_ms. */
static bool read_start(struct load *l, const struct yaml_node *n, const char *label,
                       enum config_start *out)
{
    struct str text;
    int64_t ms;

    if (!value_text(l, n, label, &text)) {
        return false;
    }
    if (str_eq_z(text, "earliest") || str_eq_z(text, "latest")) {
        *out = str_eq_z(text, "latest") ? START_LATEST : START_EARLIEST;
        return true;
    }
    switch (units_time(text, &ms)) {
    case UNITS_OK:
        *out = START_TIME;
        l->cfg->kafka.start_ms = ms;
        return true;
    case UNITS_RANGE:
        return load_error(l, n->pos, "'%s' must not be before 1970", label);
    case UNITS_BAD:
    case UNITS_NO_UNIT:
        break;
    }
    load_error(l, n->pos, "'%s' must be earliest, latest or a time, not '%s'", label,
               shown_of(n->text).text);
    return error_hint(l->err, "Times are RFC 3339 with an offset, at most milliseconds: "
                              "2026-01-31T00:00:00Z, 2026-01-31T08:30:00.250+01:00.");
}

/* A share of none or of all has a name of its own, which says what it means. */
static bool read_share(struct load *l, const struct yaml_node *n, const char *label,
                       struct str text, struct config_allowance *out)
{
    uint32_t share = 0;
    enum units_result result = units_share(text, &share);

    if (result == UNITS_BAD) {
        load_error(l, n->pos, "'%s' must be a share such as 50%% or 0.25%%, not '%s'", label,
                   shown_of(n->text).text);
        return error_hint(l->err, "At most two decimals.");
    }
    if (result != UNITS_OK || share == 0 || share == CONFIG_SHARE_PARTS) {
        load_error(l, n->pos, "'%s' must be from 0.01%% to 99.99%%, not %s", label,
                   shown_of(n->text).text);
        return error_hint(l->err, "With on_error: stop the first bad record stops its partition; "
                                  "with max_dead_letters: off none does.");
    }
    *out = (struct config_allowance){.share = share};
    return true;
}

static bool read_rate(struct load *l, const struct option *o, const struct yaml_node *n,
                      const char *label, struct str text, struct config_allowance *out)
{
    struct config_allowance rate = {0};

    if (units_rate(text, &rate.count, &rate.per) != UNITS_OK) {
        load_error(
            l, n->pos,
            "'%s' must be a share such as 50%%, a rate such as 1000 per 1m, or off, not '%s'",
            label, shown_of(n->text).text);
        return error_hint(l->err, "Units of a rate: ms, s, m, h.");
    }
    if (rate.count < o->min || rate.count > o->max || rate.per < RATE_PER_MIN ||
        rate.per > RATE_PER_MAX) {
        return load_error(l, n->pos, "'%s' must be from %llu to %llu per 1s to 24h, or off, not %s",
                          label, (unsigned long long) o->min, (unsigned long long) o->max,
                          shown_of(n->text).text);
    }
    *out = rate;
    return true;
}

/* "50%", "1000 per 1m" or "off". */
static bool read_allowance(struct load *l, const struct option *o, const struct yaml_node *n,
                           const char *label, struct config_allowance *out)
{
    struct str text;

    if (!value_text(l, n, label, &text)) {
        return false;
    }
    if (str_eq_z(text, "off")) {
        *out = (struct config_allowance){0};
        return true;
    }
    bool is_share = text.n > 0 && text.p[text.n - 1] == '%';
    return is_share ? read_share(l, n, label, text, out) : read_rate(l, o, n, label, text, out);
}

static bool read_zone(struct load *l, const struct yaml_node *n, const char *label, int32_t *out)
{
    struct str text;

    if (!value_text(l, n, label, &text)) {
        return false;
    }
    if (units_zone(text, out) != UNITS_OK) {
        load_error(l, n->pos, "'%s' must be UTC or an offset such as +02:00, not '%s'", label,
                   shown_of(n->text).text);
        bool is_name = text.n > 0 && !ascii_is_digit(*text.p) && *text.p != '+' && *text.p != '-';
        return error_hint(l->err,
                          "The offset of a zone with a name changes with the date, so PostgreSQL "
                          "has to compute such a column: columns: {at: {sql: \"(value->>'at')"
                          "::timestamp AT TIME ZONE '%s'\"}}",
                          is_name ? shown_of(n->text).text : "Europe/Vienna");
    }
    return true;
}

bool field_read(struct load *l, const struct option *o, const struct yaml_node *n, void *field)
{
    char label[SHOWN_MAX];

    if (value_lacks(l, o, n)) {
        return true;
    }
    value_label(o, label);
    switch (o->kind) {
    case OPTION_U32:
        return read_u32(l, o, n, label, field);
    case OPTION_SIZE:
    case OPTION_DURATION:
        return read_number(l, o, n, label, field);
    case OPTION_BOOL:
        return read_bool(l, n, label, field);
    case OPTION_TEXT:
        return read_text(l, o, n, label, field);
    case OPTION_START:
        return read_start(l, n, label, field);
    case OPTION_ALLOWANCE:
        return read_allowance(l, o, n, label, field);
    case OPTION_ZONE:
        return read_zone(l, n, label, field);
    case OPTION_WORD:
        return read_word(l, o, n, label, field);
    case OPTION_PROPERTIES:
        return route_read_properties(l, n, label, field);
    case OPTION_TOPICS:
        return route_read_topics(l, n, field);
    case OPTION_TABLE:
        return route_read_table(l, n, field);
    case OPTION_KEY:
        return route_read_names(l, n, label, field);
    case OPTION_COLUMNS:
        return column_read(l, n, field);
    }
    return false;
}

void field_default(const struct option *o, void *field)
{
    struct config cfg = {0};
    struct error err = {0};
    struct load l = {.cfg = &cfg, .err = &err};
    struct yaml_node n = {.kind = YAML_SCALAR, .plain = true, .text = str_of(o->def)};
    bool ok;

    if (o->def == NULL) {
        return;
    }
    n.plain = n.text.n > 0; /* an empty plain scalar would be null, not "" */
    ok = field_read(&l, o, &n, field);
    assert(ok); /* a default that its own option refuses is a bug in options.def */
    (void) ok;
}

/*
 * Dead letters need pgsinkd's own schema. Without a ledger nothing else does, so the default is to
 * stop, and only a file that asks for dead letters needs the schema.
 */
void field_default_on_error(struct config *cfg)
{
    for (size_t i = 0; i < cfg->route_count; i++) {
        if (cfg->routes[i].on_error_pos.line == 0) {
            cfg->routes[i].on_error = config_has_ledger(cfg) ? ON_ERROR_DEAD_LETTER : ON_ERROR_STOP;
        }
    }
}
