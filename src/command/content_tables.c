/* See content_tables.h. */
#include "command/content_tables.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *column_from(const struct table *t, const struct mapping *m, const char *wanted,
                               bool is_number)
{
    for (size_t i = 0; i < t->column_count; i++) {
        const char *source;
        const char *encoding;
        enum column_type type = t->columns[i].type;
        mapping_describe(m, i, &source, &encoding);
        if (strcmp(source, wanted) == 0 && (!is_number || type == TYPE_INT4 || type == TYPE_INT8)) {
            return t->columns[i].name;
        }
    }
    return NULL;
}

/* Does anything but this topic fill the table of this name? */
static bool is_shared(const struct content_tables *r, const struct table_name *name)
{
    for (size_t i = 0; i < r->cfg->route_count; i++) {
        const struct config_topics *topics = &r->cfg->routes[i].topics;
        bool is_ours = topics->count == 1 && !topics->items[0].is_regex &&
                       strcmp(topics->items[0].name, r->topic) == 0;
        if (!is_ours && table_name_same(&r->cfg->routes[i].table, name)) {
            return true;
        }
    }
    return false;
}

/* What the routes into the table of this name may do beside what this one does. */
static bool is_mixed(const struct content_tables *r, const struct table_name *name)
{
    bool appends = false;
    bool others = false;

    for (size_t i = 0; i < r->cfg->route_count; i++) {
        if (table_name_same(&r->cfg->routes[i].table, name)) {
            appends = appends || r->cfg->routes[i].mode == MODE_APPEND;
            others = others || r->cfg->routes[i].mode != MODE_APPEND;
        }
    }
    return appends && others;
}

static bool is_deleted_of(const struct content_tables *r, const struct table_name *name)
{
    for (size_t i = 0; i < r->cfg->route_count; i++) {
        const struct config_route *c = &r->cfg->routes[i];
        bool deletes = (c->delete != CONFIG_DELETE_OFF || *c->delete_when) && !*c->soft_delete;
        bool truncates = c->envelope == CONFIG_ENVELOPE_DEBEZIUM &&
                         c->on_truncate == ON_TRUNCATE_APPLY;
        if (table_name_same(&c->table, name) && (deletes || truncates)) {
            return true;
        }
    }
    return false;
}

/* Does all of the key come from the key of the record, by which Kafka compacts? */
static bool is_by_record_key(const struct table *t, const struct mapping *m)
{
    const struct target *target = mapping_target(m);

    for (size_t i = 0; i < target->column_count; i++) {
        const char *source = "";
        const char *encoding;
        if (target->columns[i].is_key) {
            mapping_describe(m, (size_t) (target->columns[i].column - t->columns), &source,
                             &encoding);
        }
        if (target->columns[i].is_key && strcmp(source, "key") != 0 &&
            strncmp(source, "key.", 4) != 0) {
            return false;
        }
    }
    return true;
}

static const char *why_not(const struct content_tables *r, const struct config_route *c,
                           const struct content_table *found, const struct target *target)
{
    if (!found->table->may_select) {
        return "this role may not read it (GRANT SELECT on the table)";
    }
    if (found->partition == NULL || found->offset == NULL) {
        return "it has no integer columns that hold meta.partition and meta.offset";
    }
    if (found->topic == NULL && is_shared(r, &c->table)) {
        return "other topics fill it, and no column holds meta.topic";
    }
    if (is_mixed(r, &c->table)) {
        return "some of its routes append, and others have a key";
    }
    if (c->mode != MODE_APPEND && target->key_count == 0) {
        return "its mode is not append, and there is no key";
    }
    return NULL;
}

static void add_appended(struct content_tables *r, const struct content_table *found)
{
    for (size_t i = 0; i < r->appended_count; i++) {
        if (r->appended[i].table->oid == found->table->oid) {
            return;
        }
    }
    r->appended = mem_grow(r->appended, &r->appended_cap, r->appended_count, sizeof *r->appended);
    r->appended[r->appended_count++] = *found;
}

/* NULL: it is compared. */
static const char *add_keyed(struct content_tables *r, const struct config_route *c,
                             const struct content_table *found, const struct mapping *m)
{
    const struct target *target = mapping_target(m);
    bool by_record_key = is_by_record_key(found->table, m);

    for (size_t i = 0; i < r->keyed_count; i++) {
        struct presence_table *other = &r->keyed[i];
        if (other->target->table->oid != found->table->oid) {
            continue;
        }
        other->by_record_key = other->by_record_key && by_record_key;
        return presence_fits(target, other->target)
                   ? NULL
                   : "its routes do not agree about key or only_if_newer";
    }
    r->keyed = mem_grow(r->keyed, &r->keyed_cap, r->keyed_count, sizeof *r->keyed);
    r->keyed[r->keyed_count++] = (struct presence_table){
        .target = target,
        .partition = found->partition,
        .offset = found->offset,
        .topic = found->topic,
        .is_shared = is_shared(r, &c->table),
        .is_deleted_of = is_deleted_of(r, &c->table),
        .by_record_key = by_record_key,
    };
    return NULL;
}

static bool is_refused(const struct content_tables *r, const struct table *t)
{
    for (size_t i = 0; i < r->refused_count; i++) {
        if (r->refused[i] == t->oid) {
            return true;
        }
    }
    return false;
}

/* For good: the rows of this route cannot be told from those of the others. */
static void refuse(struct content_tables *r, const struct table *t)
{
    r->refused = mem_grow(r->refused, &r->refused_cap, r->refused_count, sizeof *r->refused);
    r->refused[r->refused_count++] = t->oid;
    for (size_t i = 0; i < r->appended_count; i++) {
        if (r->appended[i].table->oid == t->oid) {
            r->appended[i] = r->appended[--r->appended_count];
            break;
        }
    }
    for (size_t i = 0; i < r->keyed_count; i++) {
        if (r->keyed[i].target->table->oid == t->oid) {
            r->keyed[i] = r->keyed[--r->keyed_count];
            break;
        }
    }
}

void content_tables_add(struct content_tables *r, size_t route, const struct table *t,
                        const struct mapping *m)
{
    const struct config_route *c = &r->cfg->routes[route];
    struct content_table found = {
        .table = t,
        .partition = column_from(t, m, "meta.partition", true),
        .offset = column_from(t, m, "meta.offset", true),
        .topic = column_from(t, m, "meta.topic", false),
    };
    const char *why = why_not(r, c, &found, mapping_target(m));

    if (is_refused(r, t)) {
        return;
    }
    if (why == NULL && c->mode == MODE_APPEND) {
        add_appended(r, &found);
    } else if (why == NULL) {
        why = add_keyed(r, c, &found, m);
    }
    if (why == NULL && t->by_insert && !t->is_view) {
        fprintf(stderr,
                "row-level security of table %s is in force for this role: rows that it hides are "
                "missing\n",
                t->quoted);
    }
    if (why != NULL) {
        refuse(r, t);
        fprintf(stderr, "table %s is not compared: %s\n", t->quoted, why);
    }
}

void content_tables_done(struct content_tables *r)
{
    free(r->appended);
    free(r->keyed);
    free(r->refused);
}
