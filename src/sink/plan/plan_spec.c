/*
 * From the words of a route to the spec of its mapping; words that config and row share are
 * declared in both rooms, and checked here to be the same.
 */
#include "sink/plan/plan_spec.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* The entries of columns:, their values in one array. */
static void add_entries(struct plan_spec *s, const struct config_columns *columns)
{
    size_t total = 0;

    for (size_t i = 0; i < columns->count; i++) {
        total += columns->items[i].value_count;
    }
    s->entries = mem_array(MAX(columns->count, (size_t) 1), sizeof *s->entries);
    s->values = mem_array(MAX(total, (size_t) 1), sizeof *s->values);
    struct mapping_value *v = s->values;
    for (size_t i = 0; i < columns->count; i++) {
        const struct config_column *c = &columns->items[i];
        /* config and row have the same units in the same order, without knowing each other */
        _Static_assert((int) CONFIG_UNIT_D == (int) UNIT_DAY, "units differ");
        s->entries[i] = (struct mapping_entry){
            .column = c->column,
            .values = v,
            .value_count = c->value_count,
            .unit = (enum time_unit) c->unit,
            .parses = c->parse == CONFIG_PARSE_JSON,
            .sql = c->sql,
        };
        for (size_t k = 0; k < c->value_count; k++) {
            *v++ = (struct mapping_value){c->values[k].path, c->values[k].constant};
        }
    }
    s->mapping.entries = s->entries;
    s->mapping.entry_count = columns->count;
}

static struct value_rules rules_of(const struct config_route *route)
{
    /* config and row have the same words in the same order, without knowing each other */
    _Static_assert((int) CONFIG_NUL_REPLACE == (int) NUL_REPLACE, "rules differ");
    _Static_assert((int) CONFIG_BYTES_UTF8 == (int) BYTES_UTF8, "rules differ");
    return (struct value_rules){
        .nul = (enum nul_policy) route->nul,
        .bytes = (enum bytes_policy) route->bytes,
        .unit = (enum time_unit) route->time_unit,
        .zone_sec = route->time_zone,
        .strict_numbers = route->numbers == CONFIG_NUMBERS_STRICT,
        .truncates = route->too_long == CONFIG_TOO_LONG_TRUNCATE,
        .empty_as_null = route->empty_as_null,
        .number_booleans = route->booleans == CONFIG_BOOLEANS_NUMBER,
    };
}

/* A switch and not a table: a new word that is not in it does not compile. */
static enum format_id format_of_word(enum config_format word)
{
    switch (word) {
    case CONFIG_FORMAT_JSON:
        return FORMAT_JSON;
    case CONFIG_FORMAT_RAW:
        return FORMAT_RAW;
    case CONFIG_FORMAT_AVRO:
        return FORMAT_AVRO;
    case CONFIG_FORMAT_PROTOBUF:
        return FORMAT_PROTOBUF;
    case CONFIG_FORMAT_JSON_SCHEMA:
        return FORMAT_JSON_SCHEMA;
    }
    __builtin_unreachable();
}

static enum key_format_id key_format_of_word(enum config_key_format word)
{
    switch (word) {
    case CONFIG_KEY_AUTO:
        return KEY_AUTO;
    case CONFIG_KEY_TEXT:
        return KEY_TEXT;
    case CONFIG_KEY_JSON:
        return KEY_JSON;
    case CONFIG_KEY_INT32:
        return KEY_INT32;
    case CONFIG_KEY_INT64:
        return KEY_INT64;
    case CONFIG_KEY_AVRO:
        return KEY_AVRO;
    case CONFIG_KEY_PROTOBUF:
        return KEY_PROTOBUF;
    case CONFIG_KEY_JSON_SCHEMA:
        return KEY_JSON_SCHEMA;
    }
    __builtin_unreachable();
}

static enum unknown_policy unknown_of(const struct config_route *route)
{
    if (strcmp(route->unknown_fields, "ignore") == 0) {
        return UNKNOWN_IGNORE;
    }
    return strcmp(route->unknown_fields, "error") == 0 ? UNKNOWN_FAULT : UNKNOWN_COLLECT;
}

/* Of what a route says, all but its columns. */
static struct mapping_spec spec_of(const struct config_route *route, enum mapping_part *out_part)
{
    static const enum row_action actions[] = {
        [MODE_APPEND] = ROW_INSERT,
        [MODE_UPSERT] = ROW_UPSERT,
        [MODE_IGNORE] = ROW_IGNORE,
        [MODE_UPDATE] = ROW_UPDATE,
    };
    static const enum mapping_delete deletes[] = {
        [CONFIG_DELETE_OFF] = DELETE_OFF,
        [CONFIG_DELETE_TOMBSTONE] = DELETE_TOMBSTONE,
        [CONFIG_DELETE_CHANGE] = DELETE_CHANGE,
    };
    static const enum mapping_envelope envelopes[] = {
        [CONFIG_ENVELOPE_NONE] = ENVELOPE_NONE,
        [CONFIG_ENVELOPE_DEBEZIUM] = ENVELOPE_DEBEZIUM,
        [CONFIG_ENVELOPE_CONNECT] = ENVELOPE_CONNECT,
    };
    static const enum decimal_texts decimals[] = {
        [CONFIG_DECIMAL_AUTO] = DECIMAL_AUTO,
        [CONFIG_DECIMAL_STRING] = DECIMAL_STRING,
        [CONFIG_DECIMAL_NUMBER] = DECIMAL_NUMBER,
        [CONFIG_DECIMAL_BASE64] = DECIMAL_BASE64,
    };
    static const enum time_precision precisions[] = {
        [TIME_PRECISION_AUTO] = PRECISION_AUTO,
        [TIME_PRECISION_ADAPTIVE] = PRECISION_ADAPTIVE,
        [TIME_PRECISION_ADAPTIVE_TIME] = PRECISION_ADAPTIVE_TIME_MICROSECONDS,
        [TIME_PRECISION_CONNECT] = PRECISION_CONNECT,
        [TIME_PRECISION_MICROSECONDS] = PRECISION_MICROSECONDS,
        [TIME_PRECISION_NANOSECONDS] = PRECISION_NANOSECONDS,
    };

    /* config and row have the same words in the same order, without knowing each other */
    _Static_assert((int) CONFIG_FRAMING_APICURIO8 == (int) FRAMING_APICURIO8, "framings differ");
    _Static_assert((int) CONFIG_NAMES_SNAKE_CASE == (int) NAMES_SNAKE_CASE, "names differ");
    return (struct mapping_spec){
        .route = route->name,
        .action = actions[route->mode],
        .key = (const char *const *) route->key.items,
        .key_count = route->key.count,
        .deletes = deletes[route->delete],
        .envelope = envelopes[route->envelope],
        .precision = precisions[route->time_precision],
        .decimal = decimals[route->decimal],
        .placeholder = *route->placeholder ? route->placeholder : NULL,
        .root = strcmp(route->root, "value") != 0 || route->parse == CONFIG_PARSE_JSON ? route->root
                                                                                       : NULL,
        .parses_root = route->parse == CONFIG_PARSE_JSON,
        .truncates = route->on_truncate == ON_TRUNCATE_APPLY,
        .soft_delete = *route->soft_delete ? route->soft_delete : NULL,
        .only_if_newer = (const char *const *) route->only_if_newer.items,
        .only_if_newer_count = route->only_if_newer.count,
        .rules = rules_of(route),
        .unknown = unknown_of(route),
        .unknown_column = route->unknown_fields,
        .format = format_of_word(route->format),
        .framing = (enum framing_id) route->framing,
        .names = (enum name_policy) route->names,
        .key_format = key_format_of_word(route->key_format),
        .named_by = route->table.is_by_record ? route->table.name : NULL,
        .explode = *route->explode ? route->explode : NULL,
        .when = *route->when ? route->when : NULL,
        .delete_when = *route->delete_when ? route->delete_when : NULL,
        .out_part = out_part,
    };
}

void plan_spec_init(struct plan_spec *s, const struct config_route *route)
{
    *s = (struct plan_spec){.mapping = spec_of(route, &s->part)};
    add_entries(s, &route->columns);
}

void plan_spec_done(struct plan_spec *s)
{
    free(s->entries);
    free(s->values);
}

struct position plan_spec_place(const struct plan_spec *s, const struct config_route *route,
                                const struct error *err)
{
    if (s->part == MAPPING_WHEN) {
        return route->when_pos;
    }
    if (s->part == MAPPING_DELETE_WHEN) {
        return route->delete_when_pos;
    }
    if (s->part == MAPPING_EXPLODE) {
        return route->explode_pos;
    }
    if (s->part == MAPPING_ROOT) {
        return route->root_pos;
    }
    if (s->part == MAPPING_KEY) {
        return route->key_pos;
    }
    for (size_t i = 0; s->part == MAPPING_COLUMN && i < route->columns.count; i++) {
        if (strcmp(route->columns.items[i].column, err->column) == 0) {
            return route->columns.items[i].pos;
        }
    }
    return route->table_pos;
}
