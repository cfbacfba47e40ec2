/*
 * What a trial has found, in words. What producers sent never reaches the terminal as it is. Main
 * thread.
 */
#include "command/sample.h"

#include "row/cell/cell.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* More names of fields or columns than this help nobody. */
#define SHOWN_NAMES_MAX 10

/* ---- rows ---- */

static const char *const ACTIONS[TRIAL_ACTIONS] = {
    [ROW_INSERT] = "insert",     [ROW_IGNORE] = "insert unless there",
    [ROW_UPSERT] = "upsert",     [ROW_UPDATE] = "update",
    [ROW_DELETE] = "delete",     [ROW_SOFT_DELETE] = "soft delete",
    [ROW_TRUNCATE] = "truncate",
};

static void print_rows(const struct trial_table *table)
{
    const char *between = ":";

    printf("    table %s", table->target->table->quoted);
    for (size_t i = 0; i < TRIAL_ACTIONS; i++) {
        if (table->rows[i] > 0) {
            printf("%s %s %zu", between, ACTIONS[i], table->rows[i]);
            between = ",";
        }
    }
    printf(*between == ':' ? ": no rows\n" : "\n");
}

static const char *const NOTHING[NOTHING_COUNT] = {
    [NOTHING_WHEN] = "when does not take them",
    [NOTHING_TOMBSTONE] = "tombstones",
    [NOTHING_EVENT] = "events that concern no row",
    [NOTHING_ELEMENTS] = "no element to explode",
    [NOTHING_IGNORED] = "deletes or truncates, which the route ignores",
};

static void print_nothing(const struct trial *t)
{
    for (size_t i = 0; i < NOTHING_COUNT; i++) {
        if (t->nothing[i] > 0) {
            printf("    no rows of %zu: %s\n", t->nothing[i], NOTHING[i]);
        }
    }
}

/* ---- fields and columns ---- */

static const char *shown(struct excerpt *x, const char *text)
{
    return excerpt_text(x, str_of(text));
}

static void print_field(const struct survey *s, const struct survey_field *f, bool *any_same)
{
    struct excerpt x;
    bool same;
    const char *meant = survey_meant(s, f->name, &same);

    printf("%s (%zu", shown(&x, f->name), f->count);
    if (meant != NULL) {
        printf(", column %s?", meant);
    }
    printf(")");
    *any_same |= same;
}

static void print_fields(const struct survey *s, bool is_exact)
{
    bool any_same = false;

    if (s->field_count == 0) {
        return;
    }
    printf("      no column takes:");
    for (size_t i = 0; i < MIN(s->field_count, SHOWN_NAMES_MAX); i++) {
        printf(i == 0 ? " " : ", ");
        print_field(s, &s->fields[i], &any_same);
    }
    if (s->field_count > SHOWN_NAMES_MAX) {
        printf(", %s%zu more", s->is_full ? "more than " : "", s->field_count - SHOWN_NAMES_MAX);
    }
    printf("\n");
    if (any_same) {
        printf("      HINT: %s\n",
               is_exact ? "Set names: snake_case, or names: lower; or give the column an entry in "
                          "columns."
                        : "Give the column an entry in columns.");
    }
}

static void print_unfilled(const struct survey *s)
{
    size_t n = 0;

    for (size_t i = 0; s->rows > 0 && i < s->column_count; i++) {
        if (s->columns[i].filled > 0) {
            continue;
        }
        if (n < SHOWN_NAMES_MAX) {
            printf(n == 0 ? "      nothing fills: %s <- %s" : ", %s <- %s", s->columns[i].name,
                   s->columns[i].source);
        }
        n++;
    }
    if (n > SHOWN_NAMES_MAX) {
        printf(", %zu more", n - SHOWN_NAMES_MAX);
    }
    printf(n > 0 ? "\n" : "");
}

static void print_documents(const struct survey *s)
{
    for (size_t i = 0; i < s->column_count; i++) {
        if (s->columns[i].documents > 0) {
            printf("      column '%s' gets a JSON string that holds JSON: %zu\n"
                   "      HINT: parse: json in the column's entry stores what the string holds.\n",
                   s->columns[i].name, s->columns[i].documents);
        }
    }
}

/* ---- rejected records ---- */

static void print_reason(const char *topic, const struct trial_reason *reason)
{
    const struct error *why = &reason->why;

    printf("      %zu: %s-%" PRId32 "@%" PRId64 ": %s", reason->count, topic, reason->partition,
           reason->offset, why->text);
    if (why->sqlstate[0] != '\0') {
        printf(" (%s)", why->sqlstate);
    }
    printf("\n");
    if (why->hint[0] != '\0') {
        printf("      HINT: %s\n", why->hint);
    }
}

static void print_rejected(const struct config_route *route, const char *topic,
                           const struct trial *t)
{
    size_t shown_count = 0;

    if (t->rejected == 0) {
        return;
    }
    printf("    rejected %zu: %s\n", t->rejected,
           route->on_error == ON_ERROR_STOP ? "each stops its partition (on_error: stop)"
                                            : "dead letters");
    for (size_t i = 0; i < t->reason_count; i++) {
        print_reason(topic, &t->reasons[i]);
        shown_count += t->reasons[i].count;
    }
    if (shown_count < t->rejected) {
        printf("      %zu: other reasons\n", t->rejected - shown_count);
    }
}

/* ---- what it looks like ---- */

struct looks {
    const char *like;
    const char *hint;
    bool if_rejected; /* such bytes may be meant: they are only said where records are rejected */
};

#define FRAMED "Set format: avro or protobuf, and registry.url."
#define FRAMED_KEY "Set key_format: avro or protobuf, and registry.url."

static const struct looks VALUES[GUESS_COUNT] = {
    [GUESS_CONFLUENT] = {.like = "Avro or Protobuf in Confluent's framing", .hint = FRAMED},
    [GUESS_CONFLUENT_JSON] = {.like = "JSON in Confluent's framing: 5 bytes come before it",
                              .hint = "Set format: json_schema, and registry.url."},
    [GUESS_APICURIO] = {.like = "Avro or Protobuf of Apicurio's registry", .hint = FRAMED},
    [GUESS_AVRO_FILE] = {.like = "an Avro file",
                         .hint =
                             "A record must hold one value, not a file of them: see format: avro."},
    [GUESS_GZIP] = {.like = "gzip: the producer has compressed the value itself",
                    .hint = "Let Kafka compress: compression.type in the producer."},
    [GUESS_ZSTD] = {.like = "zstd: the producer has compressed the value itself",
                    .hint = "Let Kafka compress: compression.type in the producer."},
    [GUESS_UTF16] = {.like = "text in UTF-16",
                     .hint = "JSON is UTF-8: change the producer's encoding."},
    [GUESS_BINARY] = {.like = "binary data: Avro or Protobuf without a frame, or something else",
                      .hint =
                          "Without an id nobody knows the schema: let the producer write one, or "
                          "store the bytes with format: raw."},
    [GUESS_CONNECT] = {.like = "JSON of Kafka Connect, with its schema",
                       .hint = "Set envelope: connect, or schemas.enable=false in the converter."},
    [GUESS_DEBEZIUM] = {.like = "change events of Debezium", .hint = "Set envelope: debezium."},
    [GUESS_JSON_STRING] = {.like = "JSON in a JSON string", .hint = "Set parse: json."},
};

static const struct looks KEYS[GUESS_COUNT] = {
    [GUESS_CONFLUENT] = {.like = "Avro or Protobuf in Confluent's framing", .hint = FRAMED_KEY},
    [GUESS_CONFLUENT_JSON] = {.like = "JSON in Confluent's framing: 5 bytes come before it",
                              .hint = "Set key_format: json_schema, and registry.url."},
    [GUESS_APICURIO] = {.like = "Avro or Protobuf of Apicurio's registry", .hint = FRAMED_KEY},
    [GUESS_BINARY] = {.like = "binary data",
                      .hint = "Take the key into a bytea column, or leave it out.",
                      .if_rejected = true},
    [GUESS_CONNECT] = {.like = "JSON of Kafka Connect, with its schema",
                       .hint = "Set envelope: connect, or schemas.enable=false in the key's "
                               "converter."},
    [GUESS_KEY_INT32] = {.like = "numbers of 4 bytes, as IntegerSerializer writes them",
                         .hint = "Set key_format: int32.",
                         .if_rejected = true},
    [GUESS_KEY_INT64] = {.like = "numbers of 8 bytes, as LongSerializer writes them",
                         .hint = "Set key_format: int64.",
                         .if_rejected = true},
    [GUESS_KEY_UUID] = {.like = "16 bytes, such as a UUID",
                        .hint = "A uuid or a bytea column takes them.",
                        .if_rejected = true},
    [GUESS_KEY_QUOTED] = {.like = "JSON strings: their quotes go into the column",
                          .hint = "Set key_format: json."},
};

/* Does the route say so already, or that it wants something else of such values? */
static bool is_told(const struct config_route *route, enum guess guess, bool of_key)
{
    bool has_schema = (of_key ? config_key_schema(route) : config_value_schema(route)) != NULL;
    bool has_root = strcmp(route->root, "value") != 0;

    if (guess == GUESS_CONFLUENT || guess == GUESS_CONFLUENT_JSON || guess == GUESS_APICURIO) {
        return has_schema;
    }
    if (guess == GUESS_CONNECT) {
        return route->envelope != CONFIG_ENVELOPE_NONE || has_root;
    }
    if (guess == GUESS_DEBEZIUM) {
        return route->envelope == CONFIG_ENVELOPE_DEBEZIUM || has_root;
    }
    return (guess == GUESS_JSON_STRING && route->parse == CONFIG_PARSE_JSON) ||
           (guess == GUESS_KEY_INT32 && route->key_format == CONFIG_KEY_INT32) ||
           (guess == GUESS_KEY_INT64 && route->key_format == CONFIG_KEY_INT64);
}

struct looks_words {
    const char *one;
    const char *many;
};

static const struct looks_words OF_VALUES = {"value looks", "values look"};
static const struct looks_words OF_KEYS = {"key looks", "keys look"};

static void print_looks(const struct looks_words *what, const struct looks *looks,
                        const size_t *counts, const struct config_route *route, bool any_rejected)
{
    for (size_t i = 0; i < GUESS_COUNT; i++) {
        if (counts[i] > 0 && looks[i].like != NULL && (any_rejected || !looks[i].if_rejected) &&
            !is_told(route, (enum guess) i, what == &OF_KEYS)) {
            printf("    %zu %s like %s\n    HINT: %s\n", counts[i],
                   counts[i] == 1 ? what->one : what->many, looks[i].like, looks[i].hint);
        }
    }
}

void sample_print_fields(const struct config_route *route, const struct survey *s)
{
    print_fields(s, route->names == CONFIG_NAMES_EXACT);
    print_documents(s);
}

void sample_print_guesses(const struct config_route *route, const struct trial *t)
{
    if (route->format == CONFIG_FORMAT_JSON) {
        print_looks(&OF_VALUES, VALUES, t->values, route, t->rejected > 0);
    }
    print_looks(&OF_KEYS, KEYS, t->keys, route, t->rejected > 0);
}

const char *sample_action(enum row_action action)
{
    return ACTIONS[action];
}

const char *sample_like(enum guess guess, bool is_key)
{
    return is_key ? KEYS[guess].like : VALUES[guess].like;
}

void sample_print_trial(const struct config_route *route, const char *topic, const struct trial *t)
{
    _cleanup_buf_ struct buf name = {0};

    table_name_print(&route->table, &name);
    printf("  route %" PRIu32 " -> %s\n", t->route->number + 1, buf_cstr(&name));
    for (size_t i = 0; i < t->table_count; i++) {
        print_rows(&t->tables[i]);
        print_fields(&t->tables[i].survey, route->names == CONFIG_NAMES_EXACT);
        print_unfilled(&t->tables[i].survey);
        print_documents(&t->tables[i].survey);
    }
    print_nothing(t);
    print_rejected(route, topic, t);
    sample_print_guesses(route, t);
}
