/* Which tables `verify --content` compares, and how: those that are appended to, and those with a
 * key. What it does not compare it says on stderr. Main thread. */
#ifndef COMMAND_CONTENT_TABLES_H
#define COMMAND_CONTENT_TABLES_H

#include "config/config.h"
#include "pg/content.h"
#include "pg/presence.h"
#include "row/mapping/mapping.h"

struct content_tables {
    const struct config *cfg;
    const char *topic;
    struct content_table *appended;
    size_t appended_count;
    size_t appended_cap;
    struct presence_table *keyed;
    size_t keyed_count;
    size_t keyed_cap;
    uint32_t *refused; /* OIDs of tables that are not compared, whatever their other routes are */
    size_t refused_count;
    size_t refused_cap;
};

/* A table that a route fills with records of the topic; table and mapping are borrowed. The order
 * does not matter: a table that one of its routes keeps from being compared is in neither list. */
void content_tables_add(struct content_tables *r, size_t route, const struct table *t,
                        const struct mapping *m);
void content_tables_done(struct content_tables *r);

#endif
