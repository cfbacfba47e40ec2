/*
 * Dates, times and spans as text: the counts in which binary formats have them, in the ISO 8601
 * forms that moment.h and interval.h read, and PostgreSQL's input functions too. Any count has a
 * text, also those of years that PostgreSQL does not store. Any thread.
 */
#ifndef ROW_TEXT_MOMENT_PRINT_H
#define ROW_TEXT_MOMENT_PRINT_H

#include "base/buf.h"

/* Appends a date, YYYY-MM-DD; the year has more digits, or a sign, where it takes them. days are
 * since 1970-01-01. */
void moment_print_date(int64_t days, struct buf *out);

/*
 * count is in units of 10^-digits seconds: 0 are seconds, 9 are nanoseconds. A fraction is written
 * without its last zeros.
 *     time        since midnight                     08:15:00.5      a time of day
 *     timestamp   since 1970                         2026-01-31T08:15:00.5
 *     instant     since 1970, UTC                    2026-01-31T08:15:00.5Z
 *     span                                           PT29700.5S
 * A time outside the day has more hours than a day, or a sign: no reader takes it.
 */
void moment_print_time(int64_t count, unsigned digits, struct buf *out);
void moment_print_timestamp(int64_t count, unsigned digits, struct buf *out);
void moment_print_instant(int64_t count, unsigned digits, struct buf *out);
void moment_print_span(int64_t count, unsigned digits, struct buf *out);

#endif
