/*
 * Points in time as text: the ISO 8601 / RFC 3339 part of what PostgreSQL's date and time input
 * accepts.
 *     date      YYYY-MM-DD, the year with four digits or more; infinity, -infinity; a Z after it
 *               changes nothing
 *     time      HH:MM[:SS[.fraction]], up to 24:00:00, seconds up to 60
 *     offset    Z, z, +-HH, +-HHMM, +-HH:MM, +-HH:MM:SS, below 16 hours
 *     moment    date, or date and time with T, t or a space between, and an offset or none
 * PostgreSQL does not take, but ISO 8601 has: a year with a sign, of up to nine digits; 0000 is 1
 * BC, -0043 is 44 BC. Nothing else: no words (today), no names of months or zones, no guessed order
 * of day and month. More than six digits of a fraction are rounded as PostgreSQL does. Any thread.
 */
#ifndef ROW_TEXT_MOMENT_H
#define ROW_TEXT_MOMENT_H

#include "base/buf.h"
#include "base/str.h"

#define USEC_PER_DAY INT64_C(86400000000)

/* Days from 2000-01-01 (PostgreSQL's zero) back to 1970-01-01 (Unix's). */
#define MOMENT_UNIX_DAYS 10957

enum moment_kind { MOMENT_FINITE, MOMENT_INFINITY, MOMENT_MINUS_INFINITY };

struct moment {
    enum moment_kind kind;
    int64_t days;       /* since 2000-01-01, Gregorian */
    int64_t usec;       /* of the day, 0 .. USEC_PER_DAY */
    int64_t offset_sec; /* east of UTC; 0 when there is none */
    bool zoned;         /* there is an offset */
};

enum moment_result {
    MOMENT_OK,
    MOMENT_SYNTAX, /* not of this form */
    MOMENT_FIELD,  /* of this form, but there is no such day, hour or minute */
};

/* scratch is for long fractions; its contents are lost. *out is defined only after MOMENT_OK. */
enum moment_result moment_parse(struct str s, struct buf *scratch, struct moment *out) _must_;

/* A time of day with an offset or none, into usec, offset_sec and zoned alone. */
enum moment_result moment_parse_time(struct str s, struct buf *scratch, struct moment *out) _must_;

#endif
