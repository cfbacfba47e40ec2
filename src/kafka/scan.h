/*
 * One partition after the other, read from an offset on: a look that touches neither the group nor
 * anybody else's reading. It has a consumer of its own (reader.h) and reads committed records only.
 * Blocks. One thread of a command.
 */
#ifndef KAFKA_SCAN_H
#define KAFKA_SCAN_H

#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"
#include "row/message.h"

struct scan;

enum scan_step { SCAN_RECORD, SCAN_END, SCAN_FAILED };

/* Connects in the background. NULL: ERROR_SETUP. */
struct scan *scan_new(const struct config *cfg, struct error *err) _must_;
struct scan *scan_free(struct scan *s); /* returns NULL */

/* Reads this partition from now on; topic is borrowed. ERROR_LINK. */
bool scan_begin(struct scan *s, const char *topic, int32_t partition, int64_t from,
                struct error *err) _must_;

/*
 * The next record, with its headers, valid until the next call. END: the partition has no more.
 * FAILED: nothing came within the timeout (ERROR_LINK), or the partition cannot be read
 * (ERROR_SETUP).
 */
enum scan_step scan_next(struct scan *s, usec_t timeout, struct message *out,
                         struct error *err) _must_;

#endif
