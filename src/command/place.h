/* TOPIC[:PARTITION][@OFFSET], as `try` takes it; other commands take it without an offset. Pure.
 * Main thread. */
#ifndef COMMAND_PLACE_H
#define COMMAND_PLACE_H

#include "base/error.h"

#include <stdint.h>

#define PLACE_TOPIC_MAX 250   /* Kafka allows 249 characters */
#define PLACE_BACK_MAX 100000 /* records from the end */

enum place_kind {
    PLACE_NEWEST,   /* nothing, or latest */
    PLACE_BACK,     /* -N: the Nth from the end */
    PLACE_EARLIEST, /* the first that is there */
    PLACE_OFFSET,
};

struct record_place {
    char topic[PLACE_TOPIC_MAX];
    int32_t partition; /* -1: none is named */
    enum place_kind kind;
    int64_t number; /* the offset; of PLACE_BACK how many from the end, 1 is the newest */
};

/*
 * ERROR_SETUP: what is wrong with the word. place_parse_printed: the same, but a record may also be
 * named as it is printed, TOPIC-PARTITION@OFFSET; an offset is a number then.
 */
bool place_parse_printed(const char *word, struct record_place *out, struct error *err) _must_;
bool place_parse(const char *word, struct record_place *out, struct error *err) _must_;

#endif
