/*
 * How many records a route may give up, shared by threads. Either a share of its records, or a rate
 * (count per period). One atomic word holds the state of either, so there is no lock and no
 * clean-up. Knows no clock and decides nothing. Any thread.
 *
 * The share is a credit, in records. With share s and window W it begins at W(1-s) and is never
 * above that. A good record adds s, a letter takes 1-s, and a letter that would take more than
 * there is does not fit. So a share of letters of up to s never ends, in the mean; if every record
 * is bad from the start the first W fit; and at a share r > s of letters it is over after
 * W(1-s)/(r-s) records.
 *
 * The rate is a bucket (GCRA) that is full at first and refills steadily: as many as the rate names
 * may come at once, and as many again in each period. Good records mean nothing to it.
 *
 * A whole run of records is reserved at once, before it is stored: first it is added up in a struct
 * quota_use, which one thread owns, then it is taken, and given back if it was not stored.
 */
#ifndef SINK_PLAN_QUOTA_H
#define SINK_PLAN_QUOTA_H

#include "base/clock.h"

#include <stdatomic.h>

enum quota_kind { QUOTA_OFF, QUOTA_SHARE, QUOTA_RATE };

/* Shares are counted in this many parts, so that 0.01 % can be written. */
#define QUOTA_SHARE_PARTS 10000

/* The window of a share: so many bad records in a row are forgiven when the credit is full. */
#define QUOTA_WINDOW 1000

struct quota {
    enum quota_kind kind;
    _Atomic int64_t state; /* SHARE: the credit, in parts. RATE: when the bucket is full, in ns */
    int64_t good;          /* SHARE: what a good record adds, in parts of a record */
    int64_t letter;        /* SHARE: what a letter takes, in parts. RATE: in which one comes back */
    int64_t full;          /* SHARE: the highest credit, in parts. RATE: the period, in ns */
};

/* share: in QUOTA_SHARE_PARTS, above 0 and below all of them; window: records, 1 to 1,000,000. */
void quota_init_share(struct quota *q, uint32_t share, uint32_t window);

/* At most 1,000 in a millisecond, or steps would have no length; count and per are above 0. */
void quota_init_rate(struct quota *q, uint64_t count, usec_t per);

void quota_init_off(struct quota *q); /* everything fits */

/* What a run of records does to a quota, in their order. */
struct quota_use {
    int64_t letters;
    int64_t sum;  /* the credit's change, if it never meets its upper limit */
    int64_t top;  /* the highest credit that can be left after the run */
    int64_t need; /* the least credit before it with which every letter fits */
};

void quota_use_begin(const struct quota *q, struct quota_use *out);
void quota_use_good(const struct quota *q, struct quota_use *use);
void quota_use_letter(const struct quota *q, struct quota_use *use);

/* Would the run fit now? now is clock_mono()'s; threads may differ in what they think it is. */
bool quota_fits(const struct quota *q, const struct quota_use *use, usec_t now);

/*
 * Takes the run if it fits. *out_amount, which may be 0, is what quota_give_back is to be called
 * with if the run is not stored. False: it does not fit, and nothing is taken.
 */
bool quota_take(struct quota *q, const struct quota_use *use, usec_t now,
                int64_t *out_amount) _must_;
void quota_give_back(struct quota *q, int64_t amount);

/* As at the beginning. */
void quota_refill(struct quota *q);

#endif
