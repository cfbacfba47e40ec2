/*
 * A target table as the catalog describes it, and the part of it that a route fills. Built once by
 * the main thread, then immutable and shared by all workers.
 */
#ifndef ROW_TABLE_TABLE_H
#define ROW_TABLE_TABLE_H

#include "base/buf.h"
#include "base/str.h"
#include "row/table/column_type.h"

/* A bit for each column that a row omits. */
__extension__ typedef unsigned __int128 omit_mask;

#define TARGET_OMIT_MAX 127 /* columns with a higher bit are omitted by mixed rows */
#define OMIT_BIT(bit) ((omit_mask) 1 << (bit))
#define OMIT_MIXED OMIT_BIT(TARGET_OMIT_MAX)

struct column {
    char *name;      /* as in the catalog, unquoted */
    char *type_name; /* format_type(), for people: "numeric(12,2)", "my_domain" */
    enum column_type type;
    /* The type in whose binary format an encoded field is: the column's own, without domains; or
     * what it is sent as, for a column that SQL casts to its type (`cast`): text, numeric, and of
     * an array whose elements are sent as numerics, an array of these. */
    uint32_t wire_oid;
    uint32_t wire_array_oid; /* of an array of these; 0: there is none, for arrays of arrays */
    char *wire_name;         /* in SQL: "pg_catalog.int4", "pg_catalog.text" */
    char *base_name;         /* the column's own type for people, without domains and typmod */
    char *sql_name;          /* the same in SQL, with its schema */
    bool cast;
    /* NULL: equal values have equal bytes (fold.c); else the type, perhaps with a collation, as
     * which SQL alone can compare them */
    char *compare_as;
    /* The operator by which values are equal, " OPERATOR(schema.=) ", and the type that both sides
     * are cast to for it; NULL: = of pg_catalog, and no cast */
    char *equals;
    char *equals_as;
    struct column *element; /* TYPE_ARRAY: what one element is, without a name; owned */
    bool has_domain;        /* TYPE_ARRAY: an element is of a domain */
    int32_t typmod;         /* atttypmod of the column or of its domain; -1 = none */
    bool not_null;          /* of the column or of its domain */
    bool has_default;
    char *default_sql; /* the DEFAULT in SQL; NULL: there is none, or we may not compute it */
    bool generated;    /* GENERATED ALWAYS AS (...) STORED, or computed by a view: never written */
    bool identity;     /* GENERATED ... AS IDENTITY */
    bool identity_always; /* ... INSERT writes it on request; UPDATE cannot */
};

/* Does SQL read a text as the column's type? */
static inline bool column_is_text_cast(const struct column *c)
{
    const struct column *sent = c->element != NULL ? c->element : c;

    return c->cast && column_type_sent_as(sent->type) == TYPE_TEXT;
}

/* Is it of a composite type, or are its elements? A text that begins with { is an object then. */
static inline bool column_holds_rows(const struct column *c)
{
    return (c->element != NULL ? c->element : c)->type == TYPE_COMPOSITE;
}

/* Privileges, as bits: what a role may be granted of a table, and of its schema. */
enum table_privilege {
    MAY_SELECT = 1,
    MAY_INSERT = 2,
    MAY_UPDATE = 4,
    MAY_DELETE = 8,
    MAY_USE_SCHEMA = 16,
};

struct table {
    uint32_t oid;
    char *schema; /* unquoted */
    char *name;   /* unquoted */
    char *quoted; /* "schema"."name", ready for SQL */
    char *role;   /* ours, as the server knows it, unquoted; NULL: not known */
    /* Privileges that it has not, of those that are taken for granted (catalog_table_as_granted) */
    uint32_t lacks;
    bool is_view;     /* one that takes rows */
    bool has_instead; /* ... by a trigger: they can only be appended */
    bool by_insert;   /* COPY is refused: a view, or row-level security that is for our role */
    bool has_rules;   /* INSERT follows them, COPY does not */
    bool may_lock;    /* INSERT is granted on it as a whole; a view: SELECT is */
    bool may_select;  /* our role's other privileges */
    bool may_update;
    bool may_delete;
    bool may_truncate;
    bool may_stage; /* our role may create temporary tables */
    /* An UPDATE may name columns that it leaves as they are: we may read them, and no trigger asks
     * for their names (UPDATE OF). */
    bool may_set_all;
    bool is_utf8;           /* its database's encoding is: it can hold every character */
    bool is_referenced;     /* by a foreign key: TRUNCATE refuses even an empty table */
    bool has_domains;       /* which may change without a change of the table */
    struct column *columns; /* live columns in attnum order */
    size_t column_count;
    char *signature;        /* OID, columns, unique indexes, domains, rules: changes as they do */
    char *defaults;         /* hash of all DEFAULTs: changes as they do */
    struct unique *uniques; /* for ON CONFLICT; the primary key first */
    size_t unique_count;
};

/* numeric(p,s): its p and s, as numeric_typmod_precision and _scale read them; s may be negative
 * since PostgreSQL 15. Not for a numeric without them (column_numeric_is_limited). */
enum { NUMERIC_TYPMOD_HEAD = 4 }; /* VARHDRSZ */

static inline bool column_numeric_is_limited(const struct column *c)
{
    return c->typmod >= NUMERIC_TYPMOD_HEAD;
}

static inline int column_numeric_precision(const struct column *c)
{
    return ((c->typmod - NUMERIC_TYPMOD_HEAD) >> 16) & 0xFFFF;
}

static inline int column_numeric_scale(const struct column *c)
{
    return (((c->typmod - NUMERIC_TYPMOD_HEAD) & 0x7FF) ^ 1024) - 1024;
}

/* A unique index over plain columns, without condition, valid and not deferrable. */
struct unique {
    bool is_primary;
    uint32_t *columns; /* indices into the table's columns */
    size_t column_count;
};

/* Can it be emptied by TRUNCATE, or does that take a DELETE? */
static inline bool table_truncates(const struct table *t)
{
    return t->may_truncate && !t->is_referenced;
}

/* Frees the table and what it owns. NULL is fine. */
void table_free(struct table *t);

/* Would rows be made for both in the same way? All that was read of them is compared. */
bool table_is_same(const struct table *a, const struct table *b) _pure_;

/* The column of that exact name, or NULL. */
const struct column *table_column(const struct table *t, struct str name);

/* Appends name as an SQL identifier: always quoted, inner quotes doubled. */
void table_quote_ident(struct buf *out, const char *name);

/* What becomes of a row in its table. */
enum row_action {
    ROW_INSERT,
    ROW_IGNORE,      /* inserted, unless it conflicts with one that is there */
    ROW_UPSERT,      /* inserted, or the row of the same key updated */
    ROW_UPDATE,      /* the row of the same key updated, if there is one */
    ROW_DELETE,      /* the row of the same key deleted, if there is one */
    ROW_SOFT_DELETE, /* the row of the same key marked as deleted, if there is one */
    ROW_TRUNCATE,    /* all rows deleted; its tuple has no columns */
};

/*
 * A column that a route fills. Where a record lacks the field and the column has a DEFAULT, the row
 * leaves the column out: `omit_bit` is its bit in the row's omit mask; -1 for columns that every
 * row writes.
 *
 * Rows of one mask are stored by one statement, which does not name what they omit. Where there are
 * very many masks, or bits that a mask has no room for, rows are mixed (OMIT_MIXED): then a row has
 * all columns, NULL where it omits one, and after them one more field, of bytes, which has the bit
 * of each column that is there, the lowest of a byte first. One statement stores them all: it asks
 * that field of each such column, and computes the DEFAULT where it is needed (pg/rows_sql.c).
 */
struct target_column {
    const struct column *column;
    int omit_bit;
    bool is_key;
    bool is_version;       /* a row with a lower version changes nothing */
    uint32_t version_rank; /* of a version of several columns: 0 is compared first */
    bool is_mark;          /* says that the row is deleted (soft delete) */
    bool is_input;         /* not a column of the table: expressions name it */
};

/* A column that PostgreSQL computes. Its row in SQL has the inputs by their names. */
struct target_expression {
    const struct column *column;
    char *sql;
};

#define TARGET_VERSION_MAX 8 /* columns that only_if_newer compares */

/*
 * A table and the columns that are filled: those of the encoded fields, in their order, and those
 * that PostgreSQL computes from such fields.
 * `id` numbers the targets of a plan from 0, in the order of the routes.
 */
struct target {
    uint32_t id;
    const struct table *table;
    const char *route; /* its name, for dead letters; NULL: of none */
    uint32_t number;   /* of the route, as records and their dead letters are counted */
    struct target_column *columns;
    size_t column_count;
    struct target_expression *expressions; /* of all rows but deletes */
    size_t expression_count;
    size_t key_count;
    bool has_fixed; /* a column beside the key that INSERT fills and no update sets */
    bool has_version;
    bool keys_by_sql;  /* the key has a column that only SQL can compare (compare_as) */
    size_t omit_count; /* columns with an omit_bit */
    bool mixes;        /* rows may be mixed */
    bool omit_leaves;  /* a column that an upsert omits keeps its value, rather than its DEFAULT */
};

/* The bytes in which a mixed row says which columns are there. */
static inline size_t target_there_bytes(const struct target *t)
{
    return (t->omit_count + 7) / 8;
}

/*
 * Does the tuple of such a row hold this column? Deletes hold the key and what decides whether they
 * apply, all others what they do not omit.
 */
static inline bool target_holds(const struct target *t, size_t column, enum row_action action,
                                omit_mask omit)
{
    const struct target_column *c = &t->columns[column];

    if (action == ROW_DELETE) {
        return c->is_key || c->is_version;
    }
    if (action == ROW_SOFT_DELETE) {
        return c->is_key || c->is_version || c->is_mark;
    }
    if (action == ROW_TRUNCATE) {
        return false;
    }
    return c->omit_bit < 0 || c->omit_bit >= TARGET_OMIT_MAX || omit == OMIT_MIXED ||
           (omit >> c->omit_bit & 1) == 0;
}

/* The number of fields of the tuple. */
size_t target_width(const struct target *t, enum row_action action, omit_mask omit) _pure_;

#endif
