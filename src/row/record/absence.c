/* See absence.h. One thread. */
#include "row/record/absence.h"

#include "row/cell/names.h"
#include "row/mapping/mapping_state.h"

#include <stdio.h>
#include <string.h>

/* More help nobody. */
#define NAMED_MAX 3

void absence_init(struct absence *a, const struct mapping *m)
{
    *a = (struct absence){0};
    survey_init(&a->survey, m);
}

void absence_done(struct absence *a)
{
    survey_done(&a->survey);
    *a = (struct absence){0};
}

bool absence_add(struct absence *a, struct decoder *d, const struct message *msg)
{
    size_t before = a->survey.rows;

    survey_add(&a->survey, d, msg);
    a->records += a->survey.rows > before;
    return a->records >= ABSENCE_RECORDS;
}

/* ---- which columns ---- */

/* Does its value come from the records at all? Of what is not a field only headers may be missing,
 * and a created row has no former one. */
static bool is_of_records(const struct mapping *m, const struct fill *f)
{
    struct place place = f->place;

    if (f->is_input || f->is_mark) {
        return false;
    }
    if (place.origin == ORIGIN_PARSED) {
        place = m->parsed[place.number].place;
    }
    if (place.origin == ORIGIN_SOURCE) {
        return m->sources[place.number].kind == SOURCE_HEADER;
    }
    return !(mapping_is_change(m) && place.origin == ORIGIN_VALUE &&
             fields_below(&m->value, place.number, m->change.before));
}

/* The field that no column takes and that is named like the column; NULL: there is none. */
static const char *like(const struct survey *s, const char *column)
{
    for (size_t i = 0; i < s->field_count; i++) {
        if (survey_same_words(s->fields[i].name, column)) {
            return s->fields[i].name;
        }
    }
    return NULL;
}

static bool is_missed(const struct survey *s, size_t i)
{
    const struct fill *f = &s->mapping->fills[i];

    return s->columns[i].found == 0 && is_of_records(s->mapping, f) &&
           (!f->is_by_name || like(s, f->column->name) != NULL);
}

/* ---- in words ---- */

static void add_column(const struct survey *s, size_t i, bool is_first, struct buf *out)
{
    const struct fill *f = &s->mapping->fills[i];
    const char *field = like(s, f->column->name);
    struct excerpt x;

    buf_printf(out, "%s of column '%s'", is_first ? "the field" : "; nor that", f->column->name);
    if (!f->is_by_name) {
        buf_printf(out, " (%s)", f->source_text);
    }
    if (field != NULL) {
        buf_printf(out, "; there is '%s'", excerpt_text(&x, str_of(field)));
    }
}

static bool folds_to(enum name_policy policy, const char *field, const char *column)
{
    struct folded_name folded;

    return names_fold(policy, str_of(field), &folded) &&
           str_eq_z((struct str){.p = folded.text, .n = folded.n}, column);
}

/* Which policy makes the column's name of the field's? NULL: none. */
static const char *policy_for(const struct survey *s, const char *field, const char *column)
{
    return s->mapping->value.policy != NAMES_EXACT     ? NULL
           : folds_to(NAMES_SNAKE_CASE, field, column) ? "snake_case"
           : folds_to(NAMES_LOWER, field, column)      ? "lower"
                                                       : NULL;
}

/* A name that a path needs no quotes for. */
static bool is_plain(const char *name)
{
    return *name != '\0' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
               strlen(name);
}

/* The way to the object whose fields are columns: "value.", "value.after.", "item.". */
static struct str way_of(const struct fill *f)
{
    size_t n = strlen(f->source_text);
    size_t name = strlen(f->column->name);
    bool ends_so = n > name && strcmp(f->source_text + n - name, f->column->name) == 0;

    return (struct str){.p = f->source_text, .n = ends_so ? n - name : 0};
}

static void hint(const struct survey *s, size_t i, struct error *out)
{
    const struct fill *f = &s->mapping->fills[i];
    const char *column = f->column->name;
    const char *field = like(s, column);
    struct str way = way_of(f);

    if (!f->is_by_name || !is_plain(field) || !is_plain(column) || way.n == 0) {
        error_hint(out, "Correct the column's entry in columns, or write keep there if nothing is "
                        "to fill it. `pgsinkd try` shows a record with all of its fields.");
        return;
    }
    const char *policy = policy_for(s, field, column);
    if (policy != NULL) {
        error_hint(out, "Set names: %s, or columns: {%s: " STR_FMT "%s}.", policy, column,
                   STR_ARG(way), field);
    } else {
        error_hint(out, "Set columns: {%s: " STR_FMT "%s}.", column, STR_ARG(way), field);
    }
}

static void count_text(size_t n, char *out, size_t size)
{
    if (n < 1000) {
        snprintf(out, size, "%zu", n);
    } else {
        snprintf(out, size, "%zu,%03zu", n / 1000, n % 1000);
    }
}

bool absence_find(const struct absence *a, struct error *out)
{
    const struct survey *s = &a->survey;
    _cleanup_buf_ struct buf text = {0};
    size_t first = 0;
    size_t n = 0;

    for (size_t i = 0; a->records > 0 && i < s->column_count; i++) {
        if (!is_missed(s, i)) {
            continue;
        }
        first = n == 0 ? i : first;
        if (n < NAMED_MAX) {
            add_column(s, i, n == 0, &text);
        }
        n++;
    }
    if (n == 0) {
        return false;
    }
    if (n > NAMED_MAX) {
        buf_printf(&text, "; nor those of %zu more", n - NAMED_MAX);
    }
    char count[32];
    count_text(a->records, count, sizeof count);
    error_set(out, ERROR_SETUP, "none of %s records has %s", count, buf_cstr(&text));
    hint(s, first, out);
    return true;
}
