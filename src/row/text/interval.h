/*
 * Spans of time as text:
 *     ISO 8601     [-]P[nY][nM][nW][nD][T[nH][nM][nS]]      P1Y2M3DT4H5M6.5S
 *     PostgreSQL   [@] {n unit | [+-]HH:MM[:SS[.f]]} [ago]  1 year 2 mons -3 days 04:05:06.5
 * n is [+-]digits[.digits]. A unit is a word from microsecond to year, its plural, or its usual
 * abbreviation, in either case; each may come once. A fraction of a year becomes months, one of a
 * month or a week becomes days (30 to a month), and what is left of it time, as in PostgreSQL 15.
 * Nothing else: no number without a unit, no years-months, no infinity. Any thread.
 */
#ifndef ROW_TEXT_INTERVAL_H
#define ROW_TEXT_INTERVAL_H

#include "base/buf.h"
#include "base/str.h"
#include "row/text/moment.h"

/* In three parts, as PostgreSQL has it: months differ in days, and days in hours. */
struct interval {
    int64_t usec;
    int32_t days;
    int32_t months;
};

/* As moment_parse; MOMENT_FIELD: of this form, but too large. */
enum moment_result interval_parse(struct str s, struct buf *scratch, struct interval *out) _must_;

#endif
