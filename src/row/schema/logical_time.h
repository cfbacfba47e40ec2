/*
 * Dates, times and spans: what logical_apply does with them. Each leaves a value of another form as
 * it is. Arguments, results and faults are those of logical_apply.
 */
#ifndef ROW_SCHEMA_LOGICAL_TIME_H
#define ROW_SCHEMA_LOGICAL_TIME_H

#include "row/schema/logical.h"

/* Is it a number with which Debezium means infinity (*out_down: -infinity), of a date, or of a
 * point in time or a timestamp that counts that unit? Pure. */
bool logical_time_infinity(bool of_date, enum time_unit unit, int64_t number,
                           bool *out_down) _must_;

/* LOGICAL_DAYS, LOGICAL_INSTANT: the numbers that stand for infinity become its word; a number that
 * must count something else is a fault. */
bool logical_time_days(const struct logical *l, const struct cell *in, struct cell *out,
                       struct error *err) _must_;
bool logical_time_instant(const struct logical *l, const struct cell *in, struct cell *out,
                          struct error *err) _must_;

/* LOGICAL_SPAN: a time of day in UTC is one. */
void logical_time_span(const struct cell *in, struct cell *out);

/* LOGICAL_DURATION: 12 bytes become ISO text. */
bool logical_time_duration(const struct cell *in, struct logical_scratch *s, struct cell *out,
                           struct error *err) _must_;

/* LOGICAL_ISO: a count becomes text. */
void logical_time_iso(const struct logical *l, const struct cell *in, struct logical_scratch *s,
                      struct cell *out);

#endif
