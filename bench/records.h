/*
 * The records of all workloads, each made from its kind and its number: the same two always give
 * the same record. No library, no I/O. One thread.
 *
 *     events     about 200 bytes, six fields; the key is user_id
 *     narrow     three integers and a time, about 70 bytes
 *     documents  1 KB: objects in objects, lists, text
 *     wide       40 fields of ten types, a fifth of them null or left out
 *     uniform    events whose id is one of 1,000,000, each as likely as the other; the key is id
 *     zipfian    the same, some ids much more often than others (exponent 0.99)
 */
#ifndef BENCH_RECORDS_H
#define BENCH_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#define RECORD_KEY_MAX 24
#define RECORD_VALUE_MAX 4096

struct record {
    size_t key_size;
    size_t value_size;
    char key[RECORD_KEY_MAX];
    char value[RECORD_VALUE_MAX];
};

struct record_kind {
    const char *name;
    void (*make)(struct record *r, uint64_t number); /* numbers begin with 1 */
};

/* Ends the process when there is no such kind. */
const struct record_kind *record_kind_find(const char *name);

#endif
