/*
 * Numbers as Kafka Connect's Decimal has them: big-endian two's complement, of any length, to be
 * divided by a power of ten. Any thread.
 */
#ifndef ROW_TEXT_UNSCALED_H
#define ROW_TEXT_UNSCALED_H

#include "base/buf.h"

/* More bytes than the longest numeric of PostgreSQL has. */
#define UNSCALED_BYTES_MAX 62000

/*
 * Appends the number divided by 10^scale as decimal text, exactly, with `scale` digits after its
 * point. At most UNSCALED_BYTES_MAX bytes; no byte is 0. A negative scale multiplies.
 */
void unscaled_print(const uint8_t *bytes, size_t n, int32_t scale, struct buf *out);

#endif
