/*
 * What the bytes of a record look like, whatever its route says they are: for `check`, which asks
 * when a format, an envelope or a key may be another than the one that is configured. A guess
 * decides nothing. One thread per guesser.
 */
#ifndef ROW_RECORD_GUESS_H
#define ROW_RECORD_GUESS_H

#include "row/message.h"

enum guess {
    GUESS_NONE,           /* nothing remarkable: JSON, text, or no value */
    GUESS_CONFLUENT,      /* a 0, a schema's id of 4 bytes, then binary: Avro or Protobuf */
    GUESS_CONFLUENT_JSON, /* the same, then JSON */
    GUESS_APICURIO,       /* Apicurio's registry: its headers, or an id of 8 bytes */
    GUESS_AVRO_FILE,      /* an Avro object container file */
    GUESS_GZIP,
    GUESS_ZSTD,
    GUESS_UTF16,       /* text, but not UTF-8 */
    GUESS_BINARY,      /* no text, and nothing that is known */
    GUESS_CONNECT,     /* Kafka Connect's JSON: an object of schema and payload */
    GUESS_DEBEZIUM,    /* a change event, with Connect's wrapper or without */
    GUESS_JSON_STRING, /* a JSON string that holds an object or an array */
    GUESS_KEY_INT32,   /* keys only: a number of 4 bytes */
    GUESS_KEY_INT64,   /* ... of 8 bytes */
    GUESS_KEY_UUID,    /* ... 16 bytes that are no text */
    GUESS_KEY_QUOTED,  /* ... a JSON string */
    GUESS_COUNT,
};

struct guesser;

struct guesser *guesser_new(void) _must_;
struct guesser *guesser_free(struct guesser *g); /* returns NULL */

/* Does the text look like a JSON object or array? */
bool guess_is_document(struct str text) _pure_;

enum guess guess_value(struct guesser *g, const struct message *msg);
enum guess guess_key(struct guesser *g, const struct message *msg);

#endif
