/* See scout_mail.h. Any thread. */
#include "sink/scout/scout_mail.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

struct scout_mail *scout_mail_new(enum scout_kind kind, size_t room)
{
    struct scout_mail *m = mem_zalloc(sizeof *m);

    m->kind = kind;
    m->room = room;
    m->refs = mem_array(room, sizeof *m->refs);
    m->generations = mem_array(room, sizeof *m->generations);
    m->in_group = mem_array(room, sizeof *m->in_group);
    m->by_start = mem_array(room, sizeof *m->by_start);
    m->logs = kind == SCOUT_VERIFY ? mem_array(room, sizeof *m->logs) : NULL;
    return m;
}

void scout_mail_add(struct scout_mail *m, const char *topic, int32_t number, uint64_t generation)
{
    assert(m->ref_count < m->room);
    m->generations[m->ref_count] = generation;
    m->refs[m->ref_count++] = (struct partition_ref){
        .topic = mem_strdup(topic), .partition = number, .offset = -1};
}

void scout_mail_free(struct scout_mail *m)
{
    group_held_free(m->refs, m->ref_count);
    for (size_t i = 0; i < m->name_count; i++) {
        free(m->names[i]);
    }
    free(m->names);
    for (size_t i = 0; i < m->job_count; i++) {
        plan_job_free(m->jobs[i]);
    }
    lookup_topics_free(m->topics, m->topic_count);
    free(m->jobs);
    free(m->generations);
    free(m->in_group);
    free(m->by_start);
    free(m->logs);
    free(m->entry);
    free(m->reason);
    for (size_t i = 0; m->owners != NULL && i < m->ref_count; i++) {
        free(m->owners[i]);
    }
    free(m->owners);
    free(m->topic);
    creation_schemas_done(&m->schemas);
    free(m->beat);
    config_free(m->config);
    table_free(m->letters);
    free(m);
}
