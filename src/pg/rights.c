/* A sorted list with a mask of privileges for each name, see rights.h. @thread main */
#include "pg/rights.h"

#include "base/mem.h"
#include "pg/libpq.h"
#include "pg/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the order in which a GRANT lists them. */
static const char *const privilege_names[] = {"SELECT", "INSERT", "UPDATE",    "DELETE",
                                              "USAGE",  "CREATE", "TEMPORARY", "EXECUTE"};

struct right {
    enum right_on on;
    char *name;
    uint32_t privileges; /* bits in the order of privilege_names */
};

struct rights {
    char *role; /* quoted, as database and names are */
    char *database;
    struct right *items;
    size_t count;
    size_t cap;
};

struct rights *rights_new(void)
{
    return mem_zalloc(sizeof(struct rights));
}

struct rights *rights_free(struct rights *r)
{
    if (r != NULL) {
        for (size_t i = 0; i < r->count; i++) {
            free(r->items[i].name);
        }
        free(r->items);
        free(r->role);
        free(r->database);
        free(r);
    }
    return NULL;
}

static char *quoted(const char *name)
{
    _cleanup_buf_ struct buf b = {0};

    table_quote_ident(&b, name);
    return mem_strdup(buf_cstr(&b));
}

bool rights_begin(struct rights *r, struct conn *c, struct error *err)
{
    _cleanup_result_ PGresult *res = conn_exec(
        c, "SELECT current_user, pg_catalog.current_database()", 0, NULL, err);

    if (res == NULL) {
        return false;
    }
    r->role = quoted(PQgetvalue(res, 0, 0));
    r->database = quoted(PQgetvalue(res, 0, 1));
    return true;
}

static uint32_t mask_of(const char *privileges)
{
    uint32_t mask = 0;

    for (size_t i = 0; i < ARRAY_LEN(privilege_names); i++) {
        mask |= strstr(privileges, privilege_names[i]) != NULL ? 1U << i : 0;
    }
    return mask;
}

static int compare(const struct right *a, const struct right *b)
{
    return a->on != b->on ? (a->on > b->on) - (a->on < b->on) : strcmp(a->name, b->name);
}

void rights_miss(struct rights *r, enum right_on on, const char *name, const char *privileges)
{
    struct right key = {.on = on, .name = mem_strdup(name != NULL ? name : r->database)};
    size_t at = 0;

    while (at < r->count && compare(&r->items[at], &key) < 0) {
        at++;
    }
    if (at < r->count && compare(&r->items[at], &key) == 0) {
        free(key.name);
    } else {
        r->items = mem_grow(r->items, &r->cap, r->count, sizeof *r->items);
        memmove(&r->items[at + 1], &r->items[at], (r->count - at) * sizeof *r->items);
        r->items[at] = key;
        r->count++;
    }
    r->items[at].privileges |= mask_of(privileges);
}

void rights_miss_table(struct rights *r, const struct table *t, uint32_t privileges)
{
    static const struct {
        enum table_privilege bit;
        const char *name;
    } each[] = {
        {MAY_SELECT, "SELECT"},
        {MAY_INSERT, "INSERT"},
        {MAY_UPDATE, "UPDATE"},
        {MAY_DELETE, "DELETE"},
    };

    if ((t->lacks & MAY_USE_SCHEMA) != 0) {
        _cleanup_mem_ char *schema = quoted(t->schema);
        rights_miss(r, RIGHT_ON_SCHEMA, schema, "USAGE");
    }
    for (size_t i = 0; i < ARRAY_LEN(each); i++) {
        if ((privileges & t->lacks & each[i].bit) != 0) {
            rights_miss(r, RIGHT_ON_TABLE, t->quoted, each[i].name);
        }
    }
}

/* nextval() takes either privilege, and asks for none on the schema. */
static const char sequences_sql[] =
    "SELECT a.attname, n.nspname, s.relname FROM pg_catalog.pg_attrdef e"
    " JOIN pg_catalog.pg_attribute a ON a.attrelid" SQL_EQ "e.adrelid AND a.attnum" SQL_EQ
    "e.adnum AND a.attidentity" SQL_EQ "'' AND a.attgenerated" SQL_EQ "''"
    " JOIN pg_catalog.pg_depend d ON d.objid" SQL_EQ "e.oid AND d.classid" SQL_EQ
    "'pg_catalog.pg_attrdef'::pg_catalog.regclass"
    " AND d.refclassid" SQL_EQ "'pg_catalog.pg_class'::pg_catalog.regclass"
    " JOIN pg_catalog.pg_class s ON s.oid" SQL_EQ "d.refobjid"
    " JOIN pg_catalog.pg_namespace n ON n.oid" SQL_EQ "s.relnamespace"
    " WHERE e.adrelid" SQL_EQ "$1::pg_catalog.oid"
    " AND CASE WHEN s.relkind" SQL_EQ "'S'" /* of others it may not be asked */
    " THEN NOT pg_catalog.has_sequence_privilege(s.oid, 'USAGE, UPDATE') ELSE false END";

bool rights_miss_sequences(struct rights *r, struct conn *c, const struct table *t,
                           bool (*asks)(const void *arg, const char *column), const void *arg,
                           struct error *err)
{
    char oid[16];
    const char *values[] = {oid};

    snprintf(oid, sizeof oid, "%u", t->oid);
    _cleanup_result_ PGresult *res = conn_exec(c, sequences_sql, 1, values, err);
    if (res == NULL) {
        return false;
    }
    for (int i = 0; i < PQntuples(res); i++) {
        if (asks(arg, PQgetvalue(res, i, 0))) {
            _cleanup_buf_ struct buf name = {0};
            table_quote_ident(&name, PQgetvalue(res, i, 1));
            buf_add_u8(&name, '.');
            table_quote_ident(&name, PQgetvalue(res, i, 2));
            rights_miss(r, RIGHT_ON_SEQUENCE, buf_cstr(&name), "USAGE");
        }
    }
    return true;
}

size_t rights_count(const struct rights *r)
{
    return r->count;
}

const char *rights_database(const struct rights *r)
{
    return r->database;
}

const char *rights_role(const struct rights *r)
{
    return r->role;
}

void rights_print(const struct rights *r, struct buf *out)
{
    static const char *const on[] = {
        [RIGHT_ON_DATABASE] = "DATABASE",
        [RIGHT_ON_SCHEMA] = "SCHEMA",
        [RIGHT_ON_TABLE] = "TABLE",
        [RIGHT_ON_SEQUENCE] = "SEQUENCE",
        [RIGHT_ON_FUNCTIONS] = "ALL FUNCTIONS IN SCHEMA",
    };

    for (size_t i = 0; i < r->count; i++) {
        const char *before = "GRANT ";
        for (size_t k = 0; k < ARRAY_LEN(privilege_names); k++) {
            if ((r->items[i].privileges & 1U << k) != 0) {
                buf_printf(out, "%s%s", before, privilege_names[k]);
                before = ", ";
            }
        }
        buf_printf(out, " ON %s %s TO %s;\n", on[r->items[i].on], r->items[i].name, r->role);
    }
}
