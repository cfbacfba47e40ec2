/* See properties.h. What the library knows of its properties it prints as a table. */
#include "kafka/properties.h"

#include "base/ascii.h"
#include "base/mem.h"
#include "config/mask.h"
#include "config/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECRET_MIN 4 /* a shorter text is found in most others, where it gives nothing away */

/* ---- the library's own table of properties ---- */

/* name | C, P or both | range | default | importance | description */
struct known {
    char *text; /* from the library's allocator of streams */
    const char **names;
    const char **ranges; /* "1 .. 3600000", "plaintext, ssl"; or "" */
    size_t count;
};

static void known_done(struct known *k)
{
    free(k->text);
    free(k->names);
    free(k->ranges);
}

/* The next column of a line, without its blanks; NULL: there is none. */
static char *next_column(char **line)
{
    char *column = strsep(line, "|");

    if (column == NULL) {
        return NULL;
    }
    column += strspn(column, " ");
    for (size_t n = strlen(column); n > 0 && column[n - 1] == ' '; n--) {
        column[n - 1] = '\0';
    }
    return column;
}

static void add_line(struct known *k, char *line)
{
    const char *name = next_column(&line);
    const char *whose = next_column(&line);
    const char *range = next_column(&line);

    /* Lines without a column, headings, and properties of producers. */
    if (range == NULL || *name < 'a' || *name > 'z' || strpbrk(whose, "*C") == NULL) {
        return;
    }
    k->names[k->count] = name;
    k->ranges[k->count++] = range;
}

static struct known known_read(void)
{
    struct known k = {0};
    size_t size = 0;
    size_t lines = 1;
    FILE *f = open_memstream(&k.text, &size);

    if (f == NULL) {
        abort();
    }
    rd_kafka_conf_properties_show(f);
    fclose(f);
    for (size_t i = 0; i < size; i++) {
        lines += k.text[i] == '\n';
    }
    k.names = mem_array(lines, sizeof *k.names);
    k.ranges = mem_array(lines, sizeof *k.ranges);
    char *rest = k.text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        add_line(&k, line);
    }
    return k;
}

#define _cleanup_known_ _cleanup_(known_done)

/* ---- one property ---- */

/* May the value be printed? Not a secret, and nothing that ${...} has brought in. */
static bool is_open(const struct config *cfg, const struct config_property *p)
{
    _cleanup_buf_ struct buf masked = {0};

    mask_property(str_of(p->name), str_of(p->value), &masked);
    return !config_is_expanded(cfg, p->value_pos) && str_eq_z(buf_str(&masked), p->value);
}

static bool is_integer(const char *text)
{
    if (*text == '-') {
        text++;
    }
    bool leads = text[0] == '0' && text[1] != '\0'; /* for the library, octal or hexadecimal */
    return *text != '\0' && !leads && strspn(text, "0123456789") == strlen(text);
}

/* Does a text of the library quote the value, or a piece of it? It quotes in double quotes. */
static bool quotes(const char *text, const char *value)
{
    if (*value != '\0' && strstr(text, value) != NULL) {
        return true;
    }
    for (const char *open = strchr(text, '"'); open != NULL;) {
        const char *end = strchr(open + 1, '"');
        if (end == NULL) {
            return false;
        }
        size_t n = (size_t) (end - open) - 1;
        if (n > 0 && memmem(value, strlen(value), open + 1, n) != NULL) {
            return true;
        }
        open = strchr(end + 1, '"');
    }
    return false;
}

/* The only name that begins so; NULL: there is none, or there are several. */
static const char *longer_name(const struct known *k, const char *name)
{
    const char *only = NULL;

    for (size_t i = 0; i < k->count; i++) {
        if (strncmp(k->names[i], name, strlen(name)) == 0) {
            if (only != NULL) {
                return NULL;
            }
            only = k->names[i];
        }
    }
    return only;
}

static bool is_unknown(const struct config *cfg, const struct config_property *p, struct error *err)
{
    _cleanup_known_ struct known k = known_read();
    const char *foreign = config_foreign_hint(p->name);
    const char *near = str_nearest(p->name, k.names, k.count);

    config_error_at(cfg, p->pos, err, "librdkafka %s has no property '%s'", rd_kafka_version_str(),
                    p->name);
    if (foreign != NULL) {
        return error_hint(err, "%s", foreign);
    }
    near = near != NULL ? near : longer_name(&k, p->name);
    if (near != NULL) {
        return error_hint(err, "Did you mean '%s'?", near);
    }
    return error_hint(err, "The properties are listed in librdkafka's CONFIGURATION.md.");
}

/* What the library's table says that it may be. */
static bool hint_range(const struct config_property *p, struct error *err)
{
    _cleanup_known_ struct known k = known_read();

    for (size_t i = 0; i < k.count; i++) {
        if (strcmp(k.names[i], p->name) == 0 && *k.ranges[i] != '\0') {
            bool is_range = strstr(k.ranges[i], " .. ") != NULL;
            return error_hint(err, is_range ? "It may be from %s." : "It may be one of %s.",
                              k.ranges[i]);
        }
    }
    return error_hint(err, "The values are listed in librdkafka's CONFIGURATION.md.");
}

static bool is_invalid(const struct config *cfg, const struct config_property *p, char *text,
                       struct error *err)
{
    text[strcspn(text, "\n")] = '\0';
    bool is_number = is_open(cfg, p) && is_integer(p->value);
    if (is_number || !quotes(text, p->value)) {
        config_error_at(cfg, p->value_pos, err, "property '%s': %s", p->name, text);
    } else {
        config_error_at(cfg, p->value_pos, err, "invalid value for the property '%s'", p->name);
    }
    const char *foreign = config_foreign_hint(p->name);
    return foreign != NULL ? error_hint(err, "%s", foreign) : hint_range(p, err);
}

/* ---- numbers ---- */

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name);

    return n >= strlen(end) && strcmp(name + n - strlen(end), end) == 0;
}

/* Of a number that may have a fraction, the library prints the one that it was given. */
static bool takes_fraction(const rd_kafka_conf_t *conf, const char *name)
{
    rd_kafka_conf_t *trial = rd_kafka_conf_dup(conf);
    char text[64] = "";
    size_t size = sizeof text;
    bool ok = rd_kafka_conf_set(trial, name, "1.5", NULL, 0) == RD_KAFKA_CONF_OK &&
              rd_kafka_conf_get(trial, name, text, &size) == RD_KAFKA_CONF_OK;

    rd_kafka_conf_destroy(trial);
    return ok && strchr(text, '.') != NULL;
}

/* Its value so far, which is a default, says what it is. */
static bool takes_number(const rd_kafka_conf_t *conf, const char *name)
{
    char text[64];
    size_t size = sizeof text;

    return rd_kafka_conf_get(conf, name, text, &size) == RD_KAFKA_CONF_OK && is_integer(text);
}

/* Would the library read all of it? Octal digits it would, but hardly as they were meant. */
static bool is_read_whole(const rd_kafka_conf_t *conf, const struct config_property *p)
{
    const char *digits = p->value + strspn(p->value, " +-");
    char *end;

    if (takes_fraction(conf, p->name)) {
        (void) strtod(p->value, &end);
        return *end == '\0';
    }
    (void) strtol(p->value, &end, 0);
    return end != p->value && *end == '\0' && !(digits[0] == '0' && ascii_is_digit(digits[1]));
}

/* The library reads as many digits as there are, and takes 6s for 6. Words are its own. */
static bool check_number(const rd_kafka_conf_t *conf, const struct config *cfg,
                         const struct config_property *p, struct error *err)
{
    usec_t usec = 0;
    uint64_t bytes = 0;
    char first = p->value[0];
    bool is_word = !ascii_is_digit(first) && strchr("+-. ", first) == NULL;

    if (is_word || is_integer(p->value) || !takes_number(conf, p->name) || is_read_whole(conf, p)) {
        return true;
    }
    config_error_at(cfg, p->value_pos, err, "property '%s' takes a whole number%s", p->name,
                    ends_in(p->name, ".ms") ? ", of milliseconds" : "");
    if (!is_open(cfg, p)) {
        return error_hint(err, "Digits alone: librdkafka knows no units.");
    }
    if (ends_in(p->name, "ms") && units_duration(str_of(p->value), &usec) == UNITS_OK) {
        return error_hint(err, "librdkafka knows no units: %s is %llu.", p->value,
                          (unsigned long long) (usec / USEC_PER_MSEC));
    }
    if (ends_in(p->name, "bytes") && units_size(str_of(p->value), &bytes) == UNITS_OK) {
        return error_hint(err, "librdkafka knows no units: %s is %llu.", p->value,
                          (unsigned long long) bytes);
    }
    return error_hint(err, "Digits alone: librdkafka knows no units.");
}

/* ---- all of them ---- */

static bool is_file(const char *name)
{
    return ends_in(name, ".location") || ends_in(name, ".pem") || ends_in(name, ".keytab") ||
           strcmp(name, "plugin.library.paths") == 0;
}

static bool set_one(rd_kafka_conf_t *conf, const struct config *cfg,
                    const struct config_property *p, struct error *err)
{
    char text[512] = "";

    if (!check_number(conf, cfg, p, err)) {
        return false;
    }
    switch (rd_kafka_conf_set(conf, p->name, p->value, text, sizeof text)) {
    case RD_KAFKA_CONF_OK:
        return true;
    case RD_KAFKA_CONF_UNKNOWN:
        return is_unknown(cfg, p, err);
    case RD_KAFKA_CONF_INVALID:
        break;
    }
    return is_invalid(cfg, p, text, err);
}

/* What has no value has none to get, so its name is looked up as well. */
static bool is_known(const rd_kafka_conf_t *conf, const char *name)
{
    size_t size = 0;

    if (rd_kafka_conf_get(conf, name, NULL, &size) != RD_KAFKA_CONF_UNKNOWN) {
        return true;
    }
    _cleanup_known_ struct known k = known_read();
    bool found = false;
    for (size_t i = 0; !found && i < k.count; i++) {
        found = strcmp(k.names[i], name) == 0;
    }
    return found;
}

/* A value that could not be read, as if it were a right one: others may only go with it. */
static bool set_lacking(rd_kafka_conf_t *conf, const struct config *cfg,
                        const struct config_property *p, struct error *err)
{
    char text[512];
    bool is_mechanism = strcmp(p->name, "sasl.mechanism") == 0 ||
                        strcmp(p->name, "sasl.mechanisms") == 0;
    bool is_login = strcmp(p->name, "sasl.username") == 0 || strcmp(p->name, "sasl.password") == 0;

    if (!is_mechanism && !is_login) {
        return is_known(conf, p->name) || is_unknown(cfg, p, err);
    }
    return rd_kafka_conf_set(conf, p->name, is_mechanism ? "PLAIN" : p->value, text, sizeof text) ==
               RD_KAFKA_CONF_OK ||
           is_invalid(cfg, p, text, err);
}

bool properties_set(rd_kafka_conf_t *conf, const struct config *cfg, struct error *err)
{
    for (size_t i = 0; i < cfg->kafka.properties.count; i++) {
        const struct config_property *p = &cfg->kafka.properties.items[i];
        bool lacks = config_lacks(cfg, p->value_pos) ||
                     (config_is_without_secrets(cfg) && is_file(p->name));
        if (!(lacks ? set_lacking(conf, cfg, p, err) : set_one(conf, cfg, p, err))) {
            return false;
        }
    }
    return true;
}

/* ---- a client that could not be made ---- */

/* The property of the file that the text names, the one with the longest name. */
static const struct config_property *find_named(const struct config *cfg, const char *text)
{
    const struct config_property *found = NULL;

    for (size_t i = 0; i < cfg->kafka.properties.count; i++) {
        const struct config_property *p = &cfg->kafka.properties.items[i];
        bool longer = found == NULL || strlen(p->name) > strlen(found->name);
        if (longer && strstr(text, p->name) != NULL) {
            found = p;
        }
    }
    return found;
}

/* OpenSSL's words do not name the file. */
static bool file_fault(const struct config *cfg, const struct config_property *p, struct error *err)
{
    if (access(p->value, R_OK) == 0 || errno == 0) {
        return true;
    }
    const char *reason = strerror(errno);
    if (config_is_expanded(cfg, p->value_pos)) {
        config_error_at(cfg, p->value_pos, err, "property '%s': its file cannot be read: %s",
                        p->name, reason);
    } else {
        config_error_at(cfg, p->value_pos, err, "property '%s': file '%s' cannot be read: %s",
                        p->name, p->value, reason);
    }
    return error_hint(err, "The user that the daemon runs as must be able to read it.");
}

/* Words of the library, and what to do. */
static const struct {
    const char *words;
    const char *hint;
} refusals[] = {
    {"sasl.username and sasl.password",
     "This mechanism logs in with both: set them in kafka.properties."},
    {"Unsupported SASL mechanism",
     "Usual are PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, GSSAPI and OAUTHBEARER."},
    {"PEM", "It must be a PEM file, with lines such as -----BEGIN CERTIFICATE-----."},
    {"no certificate", "It must be a PEM file, with lines such as -----BEGIN CERTIFICATE-----."},
};

static const char *hint_of(const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        if (strstr(text, refusals[i].words) != NULL) {
            return refusals[i].hint;
        }
    }
    return NULL;
}

/* The library's default is a mechanism that few have, and its words name a property of that. */
static bool mechanism_missing(const struct config *cfg, struct error *err)
{
    const struct config_property *p = config_property_of(&cfg->kafka.properties,
                                                         "security.protocol");

    config_error_at(cfg, p != NULL ? p->value_pos : cfg->kafka.pos, err,
                    "SASL without sasl.mechanism is GSSAPI (Kerberos), librdkafka's default, which "
                    "needs a keytab");
    return error_hint(err, "Set sasl.mechanism, for instance PLAIN or SCRAM-SHA-512, with "
                           "sasl.username and sasl.password.");
}

static struct position place_of(const struct config *cfg, const char *text)
{
    const struct config_property *p = find_named(cfg, text);

    if (p == NULL && strcasestr(text, "sasl") != NULL) {
        p = config_sasl_mechanism(cfg);
    }
    return p != NULL ? p->value_pos : cfg->kafka.pos;
}

bool properties_refused(const struct config *cfg, const char *text, struct error *err)
{
    const struct config_property *named = find_named(cfg, text);

    if (strstr(text, "sasl.kerberos.") != NULL && config_sasl_mechanism(cfg) == NULL) {
        return mechanism_missing(cfg, err);
    }
    if (named != NULL && ends_in(named->name, ".location") && !file_fault(cfg, named, err)) {
        return false;
    }
    for (size_t i = 0; i < cfg->kafka.properties.count; i++) {
        const struct config_property *p = &cfg->kafka.properties.items[i];
        if (!is_open(cfg, p) && strlen(p->value) >= SECRET_MIN && strstr(text, p->value) != NULL) {
            text = "they contradict each other"; /* it quotes a secret */
        }
    }
    config_error_at(cfg, place_of(cfg, text), err, "librdkafka refuses the properties: %s", text);
    const char *hint = hint_of(text);
    return hint != NULL ? error_hint(err, "%s", hint) : false;
}
