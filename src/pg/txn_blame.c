/*
 * What an error of the server means for the batch, see txn.h: its class, the row and the column it
 * names, the table, and the target whose statement it was. Nothing is concluded here about whether
 * the transaction has committed; that is txn_answer.c. Worker thread.
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

/* The only target of the transaction, or NULL. */
static const struct target *only_target(const struct flight *f)
{
    const struct target *only = NULL;

    for (size_t i = 0; i < f->answer_count; i++) {
        const struct target *target = f->answers[i].target;
        if (target != NULL && only != NULL && target != only) {
            return NULL;
        }
        only = target != NULL ? target : only;
    }
    return only;
}

/* "table 's.t'": that of the statement under way; at COMMIT the one that the server names, or the
 * only one. */
static void name_table(struct flight *f, const PGresult *res)
{
    const char *schema = PQresultErrorField(res, PG_DIAG_SCHEMA_NAME);
    const char *name = PQresultErrorField(res, PG_DIAG_TABLE_NAME);
    const struct target *target = f->fault_target;

    if (target == NULL && (schema == NULL || name == NULL)) {
        target = only_target(f);
    }
    if (target != NULL) {
        error_wrap(&f->fault, "table '%s.%s'", target->table->schema, target->table->name);
    } else if (schema != NULL && name != NULL) {
        error_wrap(&f->fault, "table '%s.%s'", schema, name);
    }
}

static enum error_class class_of(const struct txn *t, const struct flight *f, const PGresult *res)
{
    const char *code = f->fault.sqlstate;

    if (sqlstate_is(code, SQLSTATE_QUERY_CANCELED) && t->stopped) {
        return ERROR_AGAIN; /* our own CopyFail */
    }
    if (sqlstate_is(code, SQLSTATE_READ_ONLY) && !t->ledger) {
        return ERROR_LINK; /* without advance() this is the first to hear that the server is */
    }
    return fault_blame(res);
}

/*
 * What comes at COMMIT, when every statement has been answered, is no certain fault of a record:
 * TXN_EACH has to repeat it, with all constraints checked before the end. When it has done so
 * without a fault, and COMMIT still fails, no record is at fault.
 */
static enum error_class class_at_commit(const struct flight *f, enum error_class class)
{
    if (class != ERROR_RECORD && class != ERROR_DOUBT && class != ERROR_UNFIT) {
        return class;
    }
    return f->path == TXN_EACH ? ERROR_TARGET : ERROR_DOUBT;
}

/* A statement on a target, or COMMIT after such statements. */
static void blame_rows(struct txn *t, struct flight *f, const PGresult *res, bool at_commit)
{
    const struct answer *a = txn_expected(f);
    enum error_class class = class_of(t, f, res);

    f->fault.class = at_commit ? class_at_commit(f, class) : class;
    if (f->fault.class != ERROR_UNFIT) {
        f->fault.hint[0] = '\0'; /* of the server, for operators */
    }
    if (!at_commit) {
        f->fault_target = a->target != NULL ? a->target : only_target(f);
    }
    if (!at_commit && a->kind == ANSWER_COPY && a->target != NULL) {
        locate(t, f, a, res);
    }
    if (*f->fault.column) {
        error_wrap(&f->fault, "column '%s'", f->fault.column);
    }
    name_table(f, res);
    if (!at_commit && a->kind == ANSWER_OTHER &&
        sqlstate_is(f->fault.sqlstate, SQLSTATE_INSUFFICIENT_PRIVILEGE)) {
        f->no_temporary = true;
        error_wrap(&f->fault, "cannot create a temporary table");
        error_hint(&f->fault, "GRANT TEMPORARY ON DATABASE ... TO the role that pgsinkd connects "
                              "as;");
    }
}

static bool has_targets(const struct flight *f)
{
    for (size_t i = 0; i < f->answer_count; i++) {
        if (f->answers[i].target != NULL) {
            return true;
        }
    }
    return false;
}

/* The table is not the one that the rows were made for: nobody's fault. */
static void take_change(struct flight *f)
{
    const struct answer *a = txn_expected(f);

    f->changed = true;
    f->fault_target = a != NULL ? a->target : NULL;
    if (f->fault_target != NULL) {
        error_set(&f->fault, ERROR_SETUP, "table '%s.%s': its columns have changed",
                  f->fault_target->table->schema, f->fault_target->table->name);
    } else {
        error_set(&f->fault, ERROR_SETUP, "the columns of a table have changed");
    }
}

/* The row of history is as the ledger: no record and no target is to blame. */
static void blame_history(struct flight *f)
{
    bool of_server = f->fault.class == ERROR_AGAIN || f->fault.class == ERROR_LINK;

    f->advanced = false;
    f->fault.class = of_server ? f->fault.class : ERROR_SETUP;
    error_wrap(&f->fault, "cannot write history");
    if (sqlstate_is(f->fault.sqlstate, SQLSTATE_INSUFFICIENT_PRIVILEGE)) {
        error_hint(&f->fault, "Grant what `pgsinkd init --print` lists to the role that pgsinkd "
                              "connects as, or set audit: false.");
    }
}

/* Also that it is prepared, which takes the lock of the table. */
static bool is_of_history(const struct txn *t, const struct answer *a)
{
    return a != NULL &&
           (a->kind == ANSWER_HISTORY ||
            (a->kind == ANSWER_PREPARED && a->statement == statements_history(t->statements)));
}

void txn_blame(struct txn *t, const PGresult *res)
{
    struct flight *f = &t->flights[0];
    const struct answer *a = txn_expected(f);
    bool at_commit = a == NULL || a->kind == ANSWER_END || t->ending;

    if (f->fault.class != ERROR_NONE) {
        return;
    }
    fault_result(res, &f->fault);
    f->fatal = fault_is_fatal(res);
    if (t->stopped && sqlstate_is(f->fault.sqlstate, SQLSTATE_QUERY_CANCELED)) {
        t->deaf = true; /* the error is our own CopyFail: what we had heard was none */
    }
    if (f->fatal) {
        return;
    }
    if (catalog_guard_speaks(f->fault.sqlstate, f->fault.text)) {
        take_change(f);
    } else if (is_of_history(t, a)) {
        blame_history(f);
    } else if (f->advanced && has_targets(f)) {
        blame_rows(t, f, res, at_commit);
    } else if (f->fault.class == ERROR_SETUP) {
        error_wrap(&f->fault, "%s",
                   t->letters_of != NULL ? "cannot take dead letters"
                                         : "cannot advance the ledger");
    }
}
