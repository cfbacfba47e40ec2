/* See samples.h. */
#include "sink/watch/samples.h"

static struct sample sample_of(const struct snapshot *s)
{
    struct sample out = {
        .at = s->at,
        .records = s->totals.records,
        .rows = s->totals.rows,
        .bytes = s->totals.bytes,
    };

    for (size_t i = 0; i < s->partition_count; i++) {
        uint64_t lag = snapshot_lag(&s->partitions[i]);
        out.lag += lag != UINT64_MAX ? lag : 0;
    }
    return out;
}

usec_t samples_due(const struct samples *s)
{
    return s->count == 0 ? 0 : samples_at(s, s->count - 1)->at + SAMPLE_INTERVAL;
}

void samples_add(struct samples *s, const struct snapshot *shown)
{
    if (shown->at < samples_due(s)) {
        return;
    }
    s->ring[s->next] = sample_of(shown);
    s->next = (s->next + 1) % SAMPLES;
    s->count = MIN(s->count + 1, (size_t) SAMPLES);
}

const struct sample *samples_at(const struct samples *s, size_t i)
{
    return &s->ring[(s->next + SAMPLES - s->count + i) % SAMPLES];
}

static struct rates rates_between(const struct sample *a, const struct sample *b)
{
    double seconds = (double) (b->at - a->at) / (double) USEC_PER_SEC;

    if (b->at <= a->at) {
        return (struct rates){0};
    }
    return (struct rates){
        .records = (double) (b->records - a->records) / seconds,
        .rows = (double) (b->rows - a->rows) / seconds,
        .bytes = (double) (b->bytes - a->bytes) / seconds,
    };
}

struct rates samples_rates(const struct samples *s, size_t i)
{
    return i == 0 ? (struct rates){0} : rates_between(samples_at(s, i - 1), samples_at(s, i));
}

struct rates samples_rates_now(const struct samples *s, const struct snapshot *shown)
{
    struct sample now = sample_of(shown);

    for (size_t i = s->count; i-- > 0;) {
        const struct sample *before = samples_at(s, i);
        if (before->at + SAMPLE_INTERVAL <= now.at || i == 0) {
            return rates_between(before, &now);
        }
    }
    return (struct rates){0};
}
