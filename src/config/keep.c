/*
 * A reload: what it cannot change is taken over from the configuration that is in force. Walks over
 * the table of options: whatever has not the flag LIVE. What is taken over and what is new have
 * never been in one file, so the rules for a file are applied again. Any thread.
 */
#include "config/config.h"

#include "base/mem.h"
#include "config/compare.h"
#include "config/load.h"
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
    source_add(cfg->source, kept, str_of(written), false);
    return kept;
}

static struct config_property keep_property(struct config *cfg, const struct config *running,
                                            const struct config_property *p)
{
    return (struct config_property){
        .name = mem_strdup(p->name),
        .value = mem_strdup(p->value),
        .value_pos = keep_written(cfg, running, p->value_pos),
    };
}

/* What is used of the file as it is now. */
static struct config_property take_property(struct config_properties *list, const char *name)
{
    size_t i = 0;

    while (strcmp(list->items[i].name, name) != 0) {
        i++;
    }
    struct config_property taken = list->items[i];
    taken.name = mem_strdup(name);
    taken.value = mem_strdup(taken.value);
    return taken;
}

static void keep_properties(struct config *cfg, const struct config *running,
                            const struct config_properties *from, struct config_properties *to)
{
    struct config_properties kept = {mem_array(from->count, sizeof *kept.items), from->count};

    for (size_t i = 0; i < from->count; i++) {
        const char *name = from->items[i].name;
        kept.items[i] = compare_is_login(running, cfg, name)
                            ? take_property(to, name)
                            : keep_property(cfg, running, &from->items[i]);
    }
    for (size_t i = 0; i < to->count; i++) {
        mem_freep(&to->items[i].name);
        mem_freep(&to->items[i].value);
    }
    mem_freep(&to->items);
    *to = kept;
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

static void keep_options(struct config *cfg, const struct config *running)
{
    size_t n;
    const struct option *options = option_list(&n);

    for (size_t i = 0; i < n; i++) {
        if (is_kept(&options[i], cfg, running)) {
            keep_field(cfg, running, &options[i]);
        }
    }
    /* What belongs to an option that is LIVE is made again by the check. */
#define EXTRA(section, type, name) cfg->section.name = running->section.name;
#include "config/options.def"
    field_default_on_error(cfg); /* by the delivery that is in force */
}

static bool check(struct config *cfg, struct error *err)
{
    _cleanup_mem_ struct config_faults *faults = mem_zalloc(sizeof *faults);
    struct load l = {.cfg = cfg, .err = err, .faults = faults};

    check_sections(&l);
    for (size_t i = 0; i < cfg->route_count; i++) {
        check_route(&l, &cfg->routes[i]);
    }
    check_routes(&l);
    if (faults->count == 0) {
        return true;
    }
    *err = faults->items[0];
    error_wrap(err, "the file contradicts what stays as it is until a restart");
    return error_hint(err, "Restart instead, which puts the whole file in force.");
}

bool config_reload(struct config *cfg, const struct config *running, struct config_changes *out,
                   struct error *err)
{
    *out = (struct config_changes){0};
    compare_options(running, cfg, out);
    keep_options(cfg, running);
    compare_routes(running, cfg, out);
    if (!check(cfg, err)) {
        config_changes_free(out);
        return false;
    }
    return true;
}

void config_give_up(struct config *cfg, const struct config *running, enum config_need need)
{
    if (need == NEED_ADDRESS) {
        keep_field(cfg, running, option_find("http", str_of("listen")));
        cfg->http.address = running->http.address;
    }
    if (need == NEED_HISTORY) {
        keep_field(cfg, running, option_find(SECTION_ROOT, str_of("audit")));
    }
    for (size_t i = 0; need == NEED_SCHEMA && i < cfg->route_count; i++) {
        cfg->routes[i].on_error = ON_ERROR_STOP;
    }
}
