/*
 * What stands around a value or a key that was written with a schema: which schema that was, and
 * where the value itself begins.
 *
 *     name          headers that count                    then, at the beginning of the bytes
 *     auto          Confluent's, then Apicurio's          as confluent
 *     confluent     __value_schema_id, __key_schema_id    00 id:int32, or 01 guid:16 bytes
 *     apicurio      apicurio.value.globalId, .contentId   00 contentId:int32
 *     apicurio8     the same                              00 globalId:int64
 *     none          none                                  nothing: the bytes are the value
 *
 * Headers are looked at first, because bytes without a prefix may well begin with 00: an Avro union
 * whose first branch is null does. Of several headers of a name the last one counts, and one whose
 * value is null counts as none. Nobody can say by looking at bytes whether an id has four bytes or
 * eight, so auto never takes eight.
 *
 * With Protobuf the id is followed by which message of the schema's file it is: zigzag varints, how
 * many and then the positions, from the outermost message inward, where a single 00 stands for the
 * first message. With Confluent's header they stand in the header. Some old clients wrote plain
 * varints; they are not guessed. Apicurio's own framings have the message's name there instead (a
 * message Ref of one string, with its length before it), or in a header.
 *
 * Plain data in, plain data out; any thread.
 */
#ifndef ROW_FORMAT_FRAMING_H
#define ROW_FORMAT_FRAMING_H

#include "base/error.h"
#include "row/message.h"
#include "row/schema/schema_ref.h"

enum framing_id {
    FRAMING_AUTO,
    FRAMING_CONFLUENT,
    FRAMING_APICURIO,
    FRAMING_APICURIO8,
    FRAMING_NONE,
    FRAMING_COUNT,
};

/* So deep a message may lie in others; the parser of schemas takes no more. */
#define FRAMING_INDEXES_MAX 32

/* How the values, or the keys, of a route are framed. */
struct framing {
    enum framing_id id;
    bool has_message; /* the framing says which message of the schema it is: Protobuf */
    bool is_binary;   /* a value that a header declares to be JSON is a fault */
};

/* What a framing says. Texts are borrowed from the record. */
struct framed {
    struct schema_ref ref; /* SCHEMA_REF_NONE: of bytes that are absent, and with FRAMING_NONE */
    struct str payload;    /* the value itself; absent if the record has none */
    struct str message;    /* with has_message: its name, or absent: by its positions, ... */
    uint32_t indexes[FRAMING_INDEXES_MAX]; /* ... from the outermost message inward */
    size_t index_count;                    /* 0: nothing was said */
};

/* As users write it. */
const char *framing_name(enum framing_id id) _pure_;

/*
 * The framing of the record's value, or of its key. The headers of msg must have been filled,
 * except with FRAMING_NONE. ERROR_RECORD: the bytes are framed otherwise, or cut short; the text
 * has the first of them in hexadecimal, and what they look like.
 */
bool framing_read(const struct framing *f, const struct message *msg, bool of_key,
                  struct framed *out, struct error *err) _must_;

#endif
