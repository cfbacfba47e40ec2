/* See remedy.h. */
#include "sink/shared/remedy.h"

#include "row/table/table.h"

#include <string.h>

void remedy_schema(const struct config *cfg, struct buf *out)
{
    const char *schema = cfg->postgres.schema;
    bool is_plain = strspn(schema, "abcdefghijklmnopqrstuvwxyz_0123456789") == strlen(schema) &&
                    (*schema < '0' || *schema > '9');

    if (is_plain) {
        buf_add_z(out, schema);
    } else {
        table_quote_ident(out, schema);
    }
}

/* As one word of a shell; every character of a group's name is allowed to be there. */
static void add_word(struct buf *out, const char *word)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/@%+,=";

    if (*word != '\0' && strspn(word, plain) == strlen(word)) {
        buf_add_z(out, word);
        return;
    }
    buf_add_u8(out, '\'');
    for (; *word != '\0'; word++) {
        if (*word == '\'') {
            buf_add_z(out, "'\\''");
        } else {
            buf_add_u8(out, (uint8_t) *word);
        }
    }
    buf_add_u8(out, '\'');
}

void remedy_move_group(const struct config *cfg, const char *topic, int32_t number, int64_t to,
                       struct buf *out)
{
    buf_add_z(out, "kafka-consumer-groups.sh --group ");
    add_word(out, cfg->kafka.group);
    buf_printf(out, " --topic %s:%d --reset-offsets --to-", topic, number);
    if (to >= 0) {
        buf_printf(out, "offset %lld --execute", (long long) to);
    } else {
        buf_add_z(out, "earliest --execute");
    }
}

static bool is_stopped(const struct standing *why)
{
    return why->state == STANDING_STOPPED || why->state == STANDING_NONE;
}

/* ... where pgsinkd has a ledger */
static void by_sql(const struct config *cfg, const char *topic, int32_t number,
                   struct standing *why)
{
    _cleanup_buf_ struct buf schema = {0};
    long long at = why->offset;

    remedy_schema(cfg, &schema);
    if (why->is_corrupt) {
        error_hint(&why->why,
                   "It is read again every minute. To pass it over: SELECT %s.seek('%s', '%s', %d, "
                   "%lld);",
                   buf_cstr(&schema), cfg->sink, topic, number, at + 1);
    } else if (is_stopped(why)) {
        error_hint(&why->why,
                   "Fix the cause and try again: SELECT %s.seek('%s', '%s', %d, %lld); with %lld "
                   "it skips the record.",
                   buf_cstr(&schema), cfg->sink, topic, number, at, at + 1);
    } else {
        error_hint(&why->why, "When the cause is gone: SELECT %s.resume('%s', '%s', %d);",
                   buf_cstr(&schema), cfg->sink, topic, number);
    }
}

/* A hint that says how to remove the cause does not yet say how the partition goes on after that.
 * Not half a statement: if both do not fit, the cause's own it is. */
static void add_how(const struct config *cfg, const char *topic, int32_t number,
                    struct standing *why)
{
    _cleanup_buf_ struct buf hint = {0};
    _cleanup_buf_ struct buf schema = {0};
    long long at = why->offset;

    remedy_schema(cfg, &schema);
    buf_printf(&hint,
               "%s Then SELECT %s.seek('%s', '%s', %d, %lld); with %lld it skips the record.",
               why->why.hint, buf_cstr(&schema), cfg->sink, topic, number, at, at + 1);
    if (hint.n < sizeof why->why.hint) {
        error_hint(&why->why, "%s", buf_cstr(&hint));
    }
}

static bool is_for_people(const struct standing *why)
{
    return why->state == STANDING_STOPPED || why->state == STANDING_POISON;
}

/* Is there a command in it that makes the partition go on? */
static bool has_how(const char *hint)
{
    return strstr(hint, ".seek('") != NULL || strstr(hint, ".resume('") != NULL ||
           strstr(hint, "--reset-offsets") != NULL;
}

void remedy_for(const struct config *cfg, const char *topic, int32_t number, struct standing *why)
{
    if (why->why.hint[0] != '\0') {
        if (is_for_people(why) && config_has_ledger(cfg) && !has_how(why->why.hint)) {
            add_how(cfg, topic, number, why);
        }
        return;
    }
    if (config_has_ledger(cfg)) {
        by_sql(cfg, topic, number, why);
    } else if (is_stopped(why)) {
        _cleanup_buf_ struct buf how = {0};
        remedy_move_group(cfg, topic, number, why->offset + 1, &how);
        error_hint(&why->why, "Fix the cause and restart, or stop and skip the record: %s",
                   buf_cstr(&how));
    }
}
