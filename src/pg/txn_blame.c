/*
 * What an error of the server means for the batch, see txn.h: its class, the row and the column it
 * names, and the table. Nothing is concluded here about whether the transaction has committed; that
 * is txn_answer.c. Worker thread.
 */
#include "base/ascii.h"
#include "pg/catalog.h"
#include "pg/sqlstate.h"
#include "pg/txn_state.h"
#include "row/table/table.h"

#include <stdio.h>
#include <string.h>

/* The last line of the context: where the COPY itself stands, below any trigger it has called. */
static struct str last_line(const char *context)
{
    const char *newline = strrchr(context, '\n');

    return str_of(newline != NULL ? newline + 1 : context);
}

/*
 * The server says "COPY orders, line 3, column amount", in its own language and with names that may
 * contain digits: the row is the first number outside the table's name. TXN_NO_ROW if there is
 * none.
 */
static size_t find_row(struct str line, const char *relation, size_t rows, struct str *out_rest)
{
    const char *at = line.p;
    const char *end = line.p + line.n;
    size_t name = strlen(relation);
    const char *found = memmem(line.p, line.n, relation, name);
    uint64_t number;

    while (at < end &&
           (!ascii_is_digit(*at) || (found != NULL && at >= found && at < found + name))) {
        at++;
    }
    const char *digits = at;
    while (at < end && ascii_is_digit(*at)) {
        at++;
    }
    *out_rest = (struct str){.p = at, .n = (size_t) (end - at)};
    struct str text = {.p = digits, .n = (size_t) (at - digits)};
    if (!str_to_u64(text, &number) || number == 0 || number > rows) {
        return TXN_NO_ROW;
    }
    return (size_t) number - 1;
}

/* The column whose name that line ends with; if several fit, the longest. */
static void find_column(struct str rest, const struct target *target, struct error *err)
{
    const char *best = "";

    for (size_t i = 0; i < target->column_count; i++) {
        const char *name = target->columns[i].column->name;
        size_t n = strlen(name);
        if (n < rest.n && n > strlen(best) && memcmp(rest.p + rest.n - n, name, n) == 0) {
            best = name;
        }
    }
    snprintf(err->column, sizeof err->column, "%s", best);
}

/* The part of the batch whose rows a COPY sends one by one, or FOLD_NO_PART. */
static size_t part_of(const struct txn *t, const struct flight *f, const struct answer *a)
{
    return f->path == TXN_EACH ? a->group : t->fold.groups[a->group].part;
}

/*
 * The server writes many rows to the table at a time. For indexes and triggers it keeps the line
 * numbers, but not for a row that does not fit on a page (54000): then it names the last line that
 * it has read, and we name none.
 */
static void locate(const struct txn *t, struct flight *f, const struct answer *a,
                   const PGresult *res)
{
    const char *context = PQresultErrorField(res, PG_DIAG_CONTEXT);
    struct str rest = {.p = NULL};
    size_t part = part_of(t, f, a);

    if (part == FOLD_NO_PART) {
        return;
    }
    f->fault_part = part;
    if (context == NULL || sqlstate_is(f->fault.sqlstate, SQLSTATE_PROGRAM_LIMIT_EXCEEDED)) {
        return;
    }
    struct str line = last_line(context);
    if (memmem(line.p, line.n, "COPY", 4) == NULL) {
        return;
    }
    f->fault_row = find_row(line, a->relation, f->b->parts[part].row_count, &rest);
    bool staged = a->relation != a->target->table->name;
    if (f->fault_row != TXN_NO_ROW && !*f->fault.column && rest.n > 0 && !staged) {
        find_column(rest, a->target, &f->fault);
    }
}

static bool is_only_target(const struct flight *f)
{
    for (size_t i = 0; i < f->answer_count; i++) {
        const struct target *target = f->answers[i].target;
        if (target != NULL && target != f->answers[f->answer].target) {
            return false;
        }
    }
    return true;
}

/* That of the statement under way; NULL: not known. COPY: after the last CopyDone it may be the
 * commit that fails, for any of the tables. */
static const struct target *target_of(const struct flight *f)
{
    const struct answer *a = txn_expected(f);

    if (a != NULL && a->target != NULL &&
        (f->path == TXN_UNNEST || f->fault_row != TXN_NO_ROW || !f->may_commit ||
         is_only_target(f))) {
        return a->target;
    }
    return NULL;
}

/* "table 's.t'": that of the statement under way, else the one that the server names, if any. */
static void name_table(struct flight *f, const PGresult *res)
{
    const char *schema = PQresultErrorField(res, PG_DIAG_SCHEMA_NAME);
    const char *name = PQresultErrorField(res, PG_DIAG_TABLE_NAME);
    const struct target *target = target_of(f);

    if (target != NULL) {
        error_wrap(&f->fault, "table '%s.%s'", target->table->schema, target->table->name);
    } else if (schema != NULL && name != NULL) {
        error_wrap(&f->fault, "table '%s.%s'", schema, name);
    }
}

/* No row is concerned: the database is not as pgsinkd needs it. */
static void blame_setup(const struct txn *t, struct flight *f)
{
    f->fault.class = ERROR_SETUP;
    error_wrap(&f->fault, "%s",
               f->advanced             ? "cannot create a temporary table"
               : t->letters_of != NULL ? "cannot take dead letters"
                                       : "cannot advance the ledger");
    f->no_temporary = f->advanced &&
                      sqlstate_is(f->fault.sqlstate, SQLSTATE_INSUFFICIENT_PRIVILEGE);
    if (f->no_temporary) {
        error_hint(&f->fault, "GRANT TEMPORARY ON DATABASE ... TO the role that pgsinkd connects "
                              "as;");
    }
}

/* The table is not the one that the rows were made for: nobody's fault. */
static void take_change(struct flight *f)
{
    const struct target *target = f->fault_target;

    f->changed = true;
    if (target != NULL) {
        error_set(&f->fault, ERROR_SETUP, "table '%s.%s': its columns have changed",
                  target->table->schema, target->table->name);
    } else {
        error_set(&f->fault, ERROR_SETUP, "the columns of a table have changed");
    }
}

void txn_blame(struct txn *t, const PGresult *res)
{
    struct flight *f = &t->flights[0];
    const struct answer *a = txn_expected(f);

    if (f->fault.class != ERROR_NONE) {
        return;
    }
    fault_result(res, &f->fault);
    f->fatal = fault_is_fatal(res);
    if (t->stopped && sqlstate_is(f->fault.sqlstate, SQLSTATE_QUERY_CANCELED)) {
        t->deaf = true; /* the error is our own CopyFail: what we had heard was none */
    }
    bool of_rows = f->advanced && (a == NULL || a->kind != ANSWER_OTHER);
    f->fault_target = of_rows ? target_of(f) : NULL;
    if (!f->fatal && catalog_guard_speaks(f->fault.sqlstate, f->fault.text)) {
        take_change(f);
    } else if (f->path == TXN_UNNEST &&
               sqlstate_is(f->fault.sqlstate, SQLSTATE_INVALID_STATEMENT_NAME)) {
        f->fault.class = ERROR_LINK; /* somebody deallocated it: a new session prepares again */
    } else if (f->fault.class == ERROR_RECORD && of_rows) {
        if (a != NULL && a->kind == ANSWER_COPY) {
            locate(t, f, a, res);
        }
        if (*f->fault.column) {
            error_wrap(&f->fault, "column '%s'", f->fault.column);
        }
        name_table(f, res);
    } else if (f->fault.class == ERROR_SETUP && of_rows) {
        name_table(f, res);
    } else if (f->fault.class == ERROR_RECORD || f->fault.class == ERROR_SETUP) {
        blame_setup(t, f);
    }
}
