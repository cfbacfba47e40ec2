/*
 * The C face of libprotobuf: .proto texts and file descriptors, checked and put together, as plain
 * lists. It is asked once for each schema and never for a record. No exception leaves it: an
 * allocation that fails ends the process. Any thread, one at a time for each file.
 */
#ifndef ROW_SCHEMA_PROTOBUF_FILE_H
#define ROW_SCHEMA_PROTOBUF_FILE_H

#include "base/base.h"

/* A file to read. Names end in a NUL. */
struct protobuf_text {
    const char *name;   /* as imports say it */
    const char *p;      /* .proto source, or a serialized FileDescriptorProto */
    size_t n;           /* less than 2 GiB */
    bool is_descriptor; /* the latter */
};

/* FieldDescriptorProto.Type. */
enum protobuf_type {
    PROTOBUF_DOUBLE = 1,
    PROTOBUF_FLOAT,
    PROTOBUF_INT64,
    PROTOBUF_UINT64,
    PROTOBUF_INT32,
    PROTOBUF_FIXED64,
    PROTOBUF_FIXED32,
    PROTOBUF_BOOL,
    PROTOBUF_STRING,
    PROTOBUF_GROUP,
    PROTOBUF_MESSAGE,
    PROTOBUF_BYTES,
    PROTOBUF_UINT32,
    PROTOBUF_ENUM,
    PROTOBUF_SFIXED32,
    PROTOBUF_SFIXED64,
    PROTOBUF_SINT32,
    PROTOBUF_SINT64,
    PROTOBUF_TYPE_END,
};

#define PROTOBUF_NONE UINT32_MAX

struct protobuf_field {
    const char *name;
    enum protobuf_type type;
    int32_t number;
    uint32_t target;   /* of a message or an enum: its place in the list; else PROTOBUF_NONE */
    int32_t oneof;     /* within its message; -1: none */
    bool is_repeated;  /* also a map, whose message is_map_entry */
    bool has_presence; /* the wire says whether it was set */
    bool is_loose;     /* a string that need not be UTF-8 */
};

struct protobuf_message {
    const char *name;      /* with its package */
    uint32_t first_field;  /* in `fields`, in the order of declaration */
    uint32_t field_count;  /*   */
    uint32_t first_nested; /* in `places`: the messages declared in it, map entries among them */
    uint32_t nested_count; /*   */
    bool is_map_entry;     /* its fields are key and value */
};

struct protobuf_value {
    const char *name;
    int32_t number;
};

struct protobuf_enum {
    const char *name;
    uint32_t first_value; /* in `values` */
    uint32_t value_count;
};

/* Everything that can be reached from the file's own messages. Immutable. */
struct protobuf_file {
    const struct protobuf_message *messages; /* first the top_count at the top, in order */
    uint32_t message_count;
    uint32_t top_count;
    const struct protobuf_enum *enums;
    uint32_t enum_count;
    const struct protobuf_field *fields;
    const struct protobuf_value *values;
    const uint32_t *places; /* numbers of messages */
};

struct protobuf_fault {
    char text[512]; /* "orders.proto, line 3, column 5: ..." */
};

/*
 * texts[0] is the file itself, the others are what it and they import. Well-known files need not be
 * among them. An import that is not there counts as empty: most such files hold options only, and a
 * type that is really missing is a fault. All options but those that change what is on the wire are
 * dropped, and so are extensions and services. NULL: *fault says why.
 */
struct protobuf_file *protobuf_file_read(const struct protobuf_text *texts, size_t n,
                                         struct protobuf_fault *fault) _must_;
struct protobuf_file *protobuf_file_free(struct protobuf_file *f); /* returns NULL */

/* Is it a serialized FileDescriptorProto? */
bool protobuf_file_is_descriptor(const char *p, size_t n);

#endif
