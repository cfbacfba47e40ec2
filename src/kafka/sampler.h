/*
 * The newest records of a topic, copied: a bounded look that touches neither the group nor anybody
 * else's reading. It has a consumer of its own, to which partitions are assigned by hand, and reads
 * committed records only. Blocks; every wait ends with the timeout. A command's only thread.
 */
#ifndef KAFKA_SAMPLER_H
#define KAFKA_SAMPLER_H

#include "base/arena.h"
#include "kafka/client.h"
#include "row/message.h"

struct sampler;

struct sample_bounds {
    size_t records; /* of all partitions together; not 0 */
    size_t bytes;   /* of keys, values and headers; one record may exceed it */
    usec_t timeout;
    bool is_one; /* of this partition alone: its last ones, whatever their timestamps */
    int32_t partition;
};

struct sample {
    struct message *records; /* by partition and offset, with their headers */
    size_t count;
    size_t silent;       /* partitions that were not read as far as they should have been */
    bool is_cut;         /* there would be more, but the bound of bytes is reached */
    struct error fault;  /* of one of the silent partitions; ERROR_NONE: time was up */
    struct arena memory; /* of their bytes; their topic is the caller's */
};

/* Connects in the background. c answers where partitions begin and end, and must outlive the
 * sampler. NULL: ERROR_SETUP. */
struct sampler *sampler_new(struct client *c, const struct config *cfg, struct error *err) _must_;
struct sampler *sampler_free(struct sampler *s); /* returns NULL */

/*
 * Reads the newest records of partitions 0 to partition_count - 1: newest by their timestamps, and
 * in a partition by their offsets. A partition's end is the last stable offset: markers and aborted
 * records before it are passed, and nothing is waited for. Fills *out, for sample_done. ERROR_LINK:
 * the brokers do not say where any partition ends; out is empty then.
 */
bool sampler_read(struct sampler *s, const char *topic, int32_t partition_count,
                  const struct sample_bounds *bounds, struct sample *out, struct error *err) _must_;
void sample_done(struct sample *sample);

/*
 * Reads one record of a partition: that at the offset, or for LOOKUP_EARLIEST the first that is
 * there. Fills *out, for sample_done. ERROR_RECORD: there is none, and where the partition begins
 * and ends; ERROR_LINK: no answer within the timeout; ERROR_SETUP: the partition cannot be read.
 */
bool sampler_read_one(struct sampler *s, const char *topic, int32_t partition, int64_t offset,
                      usec_t timeout, struct sample *out, struct error *err) _must_;

#endif
