/*
 * Numbers as people write them: "50000", "16MiB", "5s", "true", "2026-01-31T00:00:00Z". The whole
 * text or nothing: no sign, no white space, no leading zeros, no fractions where none make sense.
 * Pure; any thread.
 */
#ifndef CONFIG_UNITS_H
#define CONFIG_UNITS_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"

enum units_result {
    UNITS_OK,
    UNITS_BAD,     /* not written as such a value */
    UNITS_RANGE,   /* well written, but negative or too large for the type */
    UNITS_NO_UNIT, /* a duration without its unit */
};

/* *out is set only with UNITS_OK, in all of them. */
enum units_result units_number(struct str s, uint64_t *out) _must_;

/* Bytes: a plain number, or with B, kB, MB, GB (powers of 1000), KiB, MiB, GiB (powers of 1024). */
enum units_result units_size(struct str s, uint64_t *out) _must_;

/* A number with ms, s, m or h; 0 needs none. */
enum units_result units_duration(struct str s, usec_t *out) _must_;

/* "N per DURATION": a number and a duration that is not 0. */
enum units_result units_rate(struct str s, uint64_t *out_count, usec_t *out_per) _must_;

/*
 * "N%", N from 0 to 100 with at most two decimals; in hundredths of a percent. A larger number is
 * UNITS_RANGE.
 */
enum units_result units_share(struct str s, uint32_t *out) _must_;

/* true or false. */
enum units_result units_bool(struct str s, bool *out) _must_;

/* RFC 3339 date and time with offset, at most milliseconds, from 1970 on; Unix time in
 * milliseconds. */
enum units_result units_time(struct str s, int64_t *out_ms) _must_;

/* UTC, or an offset, +HH:MM or -HH:MM, below 16 hours; seconds east of UTC. */
enum units_result units_zone(struct str s, int32_t *out_sec) _must_;

/* The other way: exact, in the largest unit that holds it. Each reads back as the same value. */
void units_print_size(uint64_t bytes, struct buf *out);
void units_print_duration(usec_t usec, struct buf *out); /* a multiple of 1 ms */
void units_print_rate(uint64_t count, usec_t per, struct buf *out);
void units_print_share(uint32_t share, struct buf *out);
void units_print_time(int64_t ms, struct buf *out);
void units_print_zone(int32_t sec, struct buf *out); /* in quotes where YAML 1.1 needs them */

#endif
