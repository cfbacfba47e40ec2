/*
 * Points in time as text: the ISO 8601 / RFC 3339 part of what PostgreSQL's date and time input
 * accepts.
 *     date      YYYY-MM-DD, the year with four digits or more; infinity, -infinity; a Z after it
 *               changes nothing
 *     time      HH:MM[:SS[.fraction]], up to 24:00:00, seconds up to 60
 *     offset    Z, z, UTC, GMT, +-HH, +-HHMM, +-HH:MM, +-HH:MM:SS, below 16 hours, a space before
 *               it or none
 *     moment    date, or date and time with T, t or a space between, and an offset or none
 *     basic     YYYYMMDD for a date and HHMM[SS[.fraction]] for a time; a time alone then has a T
 *               before it, because without one it reads as a number
 * PostgreSQL does not take, but ISO 8601 and RFC 9557 have: a year with a sign, of up to nine
 * digits; 0000 is 1 BC, -0043 is 44 BC. Days of the year, 2026-031, and of the week, 2026-W05-6. A
 * comma before the fraction. Brackets after an offset, [Europe/Berlin] as java.time writes it: they
 * are passed over, because the offset says it all; not those marked with !. Nothing else: no words
 * (today), no names of months, no guessed order of day and month. More than six digits of a
 * fraction are rounded as PostgreSQL does. Any thread.
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
    MOMENT_ZONE,   /* of this form, but with a zone's name instead of an offset */
};

/* scratch is for long fractions; its contents are lost. *out is defined only after MOMENT_OK. */
enum moment_result moment_parse(struct str s, struct buf *scratch, struct moment *out) _must_;

/* A time of day with an offset or none, into usec, offset_sec and zoned alone. */
enum moment_result moment_parse_time(struct str s, struct buf *scratch, struct moment *out) _must_;

#endif
