/*
 * What a reload cannot change is taken over from the configuration that is in force. Walks over the
 * table of options: whatever has not the flag LIVE. Any thread.
 */
#include "config/config.h"

#include "base/mem.h"
#include "config/compare.h"
#include "config/source.h"

#include <assert.h>
#include <string.h>

/*
 * A place for a value that is not in the file as it is now. If the running configuration knows how
 * the value was written, cfg is to know it too, under a position that no file has.
 */
static struct position keep_written(struct config *cfg, const struct config *running,
                                    struct position pos)
{
    const char *written = source_find(running->source, pos);

    if (written == NULL) {
        return (struct position){0};
    }
    struct position kept = {.line = 0, .column = (unsigned) cfg->source->count + 1};
    source_add(cfg->source, kept, str_of(written));
    return kept;
}

static void keep_properties(struct config *cfg, const struct config *running,
                            const struct config_properties *from, struct config_properties *to)
{
    for (size_t i = 0; i < to->count; i++) {
        mem_freep(&to->items[i].name);
        mem_freep(&to->items[i].value);
    }
    mem_freep(&to->items);
    to->count = from->count;
    to->items = mem_array(from->count, sizeof *to->items);
    for (size_t i = 0; i < from->count; i++) {
        const struct config_property *p = &from->items[i];
        to->items[i] = (struct config_property){
            .name = mem_strdup(p->name),
            .value = mem_strdup(p->value),
            .value_pos = keep_written(cfg, running, p->value_pos),
        };
    }
}

/* Of values that own no memory. */
static size_t size_of(enum option_kind kind)
{
    static const size_t sizes[] = {
        [OPTION_U32] = sizeof(uint32_t),
        [OPTION_SIZE] = sizeof(uint64_t),
        [OPTION_DURATION] = sizeof(usec_t),
        [OPTION_BOOL] = sizeof(bool),
        [OPTION_START] = sizeof(enum config_start),
        [OPTION_ALLOWANCE] = sizeof(struct config_allowance),
        [OPTION_ZONE] = sizeof(int32_t),
        [OPTION_WORD] = sizeof(int),
    };

    assert(kind < ARRAY_LEN(sizes) && sizes[kind] > 0);
    return sizes[kind];
}

static void keep_field(struct config *cfg, const struct config *running, const struct option *o)
{
    const void *from = (const char *) running + o->offset;
    void *to = (char *) cfg + o->offset;
    struct position from_pos;
    struct position to_pos = {0};

    memcpy(&from_pos, (const char *) running + o->pos_offset, sizeof from_pos);
    if (o->kind == OPTION_TEXT) {
        char *text = mem_strdup(*(char *const *) from);
        mem_freep(to);
        memcpy(to, &text, sizeof text);
        to_pos = keep_written(cfg, running, from_pos);
    } else if (o->kind == OPTION_PROPERTIES) {
        keep_properties(cfg, running, from, to);
    } else {
        memcpy(to, from, size_of(o->kind));
    }
    memcpy((char *) cfg + o->pos_offset, &to_pos, sizeof to_pos);
}

static bool is_kept(const struct option *o, const struct config *cfg, const struct config *running)
{
    return !option_is_live(o) &&
           (o->kind == OPTION_PROPERTIES || !compare_is_same(o, cfg, cfg, running, running));
}

/* Dead letters need a schema of ours, which is made or upgraded at the start. */
static void keep_stops(struct config *cfg, const struct config *running)
{
    for (size_t i = 0; i < cfg->route_count && !config_needs_schema(running); i++) {
        cfg->routes[i].on_error = ON_ERROR_STOP;
    }
}

void config_keep(struct config *cfg, const struct config *running)
{
    size_t n;
    const struct option *options = option_list(&n);

    for (size_t i = 0; i < n; i++) {
        if (is_kept(&options[i], cfg, running)) {
            keep_field(cfg, running, &options[i]);
        }
    }
    keep_stops(cfg, running);
    /* They belong to options that are not LIVE. */
#define EXTRA(section, type, name) cfg->section.name = running->section.name;
#include "config/options.def"
}
