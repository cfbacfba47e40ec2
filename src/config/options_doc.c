/*
 * Documentation printed from the table of options: docs/options.md and conf/pgsinkd.yaml.example.
 * Both are kept in the repository and compared with this output by a test, so that they cannot go
 * stale. Main thread.
 */
#include "config/config.h"
#include "config/option.h"

#include <string.h>

/* ---- pieces ---- */

static void add_words(struct option_words words, struct buf *out)
{
    for (size_t i = 0; i < words.count; i++) {
        buf_printf(out, "%s`%s`", i > 0 ? ", " : "", words.items[i].text);
    }
    if (words.count == 1) {
        buf_add_z(out, " only, in this version");
    }
}

/* What may be written for an option of that kind; a word's list and a number's range follow. */
static const char *kind_text(enum option_kind kind)
{
    switch (kind) {
    case OPTION_U32:
        return "number, ";
    case OPTION_SIZE:
        return "size, ";
    case OPTION_DURATION:
        return "duration, ";
    case OPTION_BOOL:
        return "`true`, `false`";
    case OPTION_TEXT:
        return "text";
    case OPTION_START:
        return "`earliest`, `latest`, time";
    case OPTION_ALLOWANCE:
        return "share, rate, `off`";
    case OPTION_ZONE:
        return "`UTC`, offset";
    case OPTION_WORD:
        return "";
    case OPTION_TABLE:
        return "name";
    case OPTION_TOPICS:
    case OPTION_KEY:
        return "list of names";
    case OPTION_PROPERTIES:
    case OPTION_COLUMNS:
        return "mapping";
    }
    return "";
}

/* "size, 1KiB to 1GiB", "`on`, `off`" */
static void add_values(const struct option *o, struct buf *out)
{
    buf_add_z(out, kind_text(o->kind));
    if (o->kind == OPTION_WORD) {
        add_words(o->words, out);
    }
    if (o->kind == OPTION_U32 || o->kind == OPTION_SIZE || o->kind == OPTION_DURATION) {
        option_print_number(o->kind, o->min, out);
        buf_add_z(out, " to ");
        option_print_number(o->kind, o->max, out);
    }
}

static const char *section_help(const char *name)
{
    const struct option_section *s = option_section_find(str_of(name));

    if (s != NULL) {
        return s->help;
    }
    return strcmp(name, SECTION_ROUTE) == 0
               ? "A list with at least one entry: which topics go into which table. A topic may "
                 "be in several entries."
               : "Outside of any section.";
}

/* ---- docs/options.md ---- */

/* The text of a cell, in which a | would end the cell. */
static void add_cell(const char *text, struct buf *out)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '|') {
            buf_add_z(out, "\\");
        }
        buf_add(out, p, 1);
    }
}

static void add_row(const struct option *o, struct buf *out)
{
    buf_printf(out, "| `%s` | ", o->name);
    add_values(o, out);
    if ((o->flags & REQUIRED) != 0) {
        buf_add_z(out, " | required | ");
    } else if (o->def == NULL || o->def[0] == '\0') {
        buf_add_z(out, " | empty | ");
    } else {
        buf_printf(out, " | `%s` | ", o->def);
    }
    add_cell(o->help, out);
    buf_add_z(out, " |\n");
}

static void add_section_table(const char *section, struct buf *out)
{
    size_t n;
    const struct option *options = option_list(&n);

    if (strcmp(section, SECTION_ROOT) == 0) {
        buf_add_z(out, "\n## Top level\n");
    } else {
        buf_printf(out, "\n## %s\n", section);
    }
    buf_printf(out, "\n%s\n\n", section_help(section));
    buf_add_z(out, "| option | values | default | what it does |\n|---|---|---|---|\n");
    for (size_t i = 0; i < n; i++) {
        if (strcmp(options[i].section, section) == 0) {
            add_row(&options[i], out);
        }
    }
}

static const char intro[] =
    "# Options\n"
    "\n"
    "<!-- Printed by the program from src/config/options.def: edit that file, not this one. -->\n"
    "\n"
    "One YAML file configures one sink. The file is read strictly: an unknown key, a value of the "
    "wrong kind, a key given twice or a missing one is an error that names file, line and column. "
    "YAML anchors, aliases and tags are not supported. `pgsinkd config -c FILE` checks a file and "
    "prints the effective configuration, with secrets masked.\n"
    "\n"
    "## Values\n"
    "\n"
    "| kind | how it is written |\n"
    "|---|---|\n"
    "| number | `50000`: digits only, without quotes |\n"
    "| size | `16MiB`: B, kB, MB, GB are powers of 1000, KiB, MiB, GiB powers of 1024; a plain "
    "number is bytes |\n"
    "| duration | `5s`: ms, s, m, h; only 0 needs no unit |\n"
    "| share | `50%`, `0.25%`: from 0.01% to 99.99%, at most two decimals |\n"
    "| rate | `1000 per 1m`: a number and a duration, 1s to 24h |\n"
    "| time | `2026-01-31T00:00:00Z`, `2026-01-31T08:30:00.250+01:00`: RFC 3339, at most "
    "milliseconds |\n"
    "| text | with or without quotes |\n"
    "\n"
    "In every value `${NAME}` stands for an environment variable and `${file:PATH}` for the "
    "content of a file without its final line break. A relative PATH is looked up first in "
    "`$CREDENTIALS_DIRECTORY` (systemd's credentials), then in the directory of the configuration "
    "file. `${INSTANCE}` is 2 with `-c orders:2.yaml`, which reads orders.yaml; else what the "
    "environment says, else 1. `$${` is a literal `${`. Inside `{...}` or `[...]` such a value "
    "needs quotes. Passwords and keys written in the file itself are printed as `***`, and what "
    "such a reference stands for is never printed.\n";

static void add_refused(struct buf *out)
{
    size_t n;
    const struct option_refused *list = option_refused_list(&n);

    buf_add_z(out,
              "\n## Refused properties\n\n"
              "`kafka.properties` takes every property that the installed librdkafka knows, except "
              "these:\n\n"
              "| property | reason |\n|---|---|\n");
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "| `%s` | %s |\n", list[i].name, list[i].reason);
    }
}

void options_doc_markdown(struct buf *out)
{
    size_t n;
    const struct option_section *sections = option_sections(&n);

    buf_add_z(out, intro);
    add_section_table(SECTION_ROOT, out);
    for (size_t i = 0; i < n; i++) {
        add_section_table(sections[i].name, out);
    }
    add_section_table(SECTION_ROUTE, out);
    add_refused(out);
}

/* ---- conf/pgsinkd.yaml.example ---- */

#define WIDTH ((size_t) 96)

/* Length of the first line of a text that is to be broken at spaces. */
static size_t line_length(const char *text, size_t room)
{
    size_t n = strlen(text);

    if (n <= room) {
        return n;
    }
    for (n = room; n > 0 && text[n] != ' '; n--) {
    }
    return n > 0 ? n : room;
}

static void add_comment(const char *indent, const char *text, struct buf *out)
{
    while (*text != '\0') {
        size_t n = line_length(text, WIDTH - strlen(indent) - 2);

        buf_printf(out, "%s# ", indent);
        buf_add(out, text, n);
        buf_add_z(out, "\n");
        text += n;
        while (*text == ' ') {
            text += 1;
        }
    }
}

static bool is_in_force(const struct option *o)
{
    return (o->flags & SHOWN) != 0;
}

/* An option below its help. With dash it is the first of a list entry. */
static void add_example_option(const struct option *o, const char *indent, bool dash,
                               struct buf *out)
{
    const char *value = o->sample != NULL ? o->sample : o->def;

    if (dash) {
        buf_printf(out, "  -\n");
    }
    add_comment(indent, o->help, out);
    buf_printf(out, "%s%s%s: %s\n", indent, is_in_force(o) ? "" : "#", o->name, value);
}

static void add_section_start(const char *section, struct buf *out)
{
    buf_add_z(out, "\n");
    add_comment("", section_help(section), out);
    buf_printf(out, "%s:\n", section);
}

void options_doc_example(struct buf *out)
{
    size_t n;
    const struct option *options = option_list(&n);
    const char *section = SECTION_ROOT;

    buf_add_z(
        out,
        "# Configuration of one sink. Lines that start with #name: show defaults or examples; "
        "remove the # to\n"
        "# change them. docs/options.md describes every option. To check the file: pgsinkd config "
        "-c FILE\n");
    for (size_t i = 0; i < n; i++) {
        const struct option *o = &options[i];
        bool starts = strcmp(o->section, section) != 0;

        section = o->section;
        if (strcmp(section, SECTION_ROOT) == 0) {
            buf_add_z(out, "\n");
            add_example_option(o, "", false, out);
            continue;
        }
        if (starts) {
            add_section_start(section, out);
        }
        if (strcmp(section, SECTION_ROUTE) == 0) {
            add_example_option(o, "    ", starts, out);
        } else {
            add_example_option(o, "  ", false, out);
        }
    }
}
