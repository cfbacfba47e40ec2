/* Workers as main starts them, what they count, and what they can hold. Main thread. */
#include "sink/app/app_state.h"

#include "base/mem.h"

/* The program, its libraries, and what malloc cannot use between the buffers. */
#define PROGRAM_BYTES (UINT64_C(48) << 20)

void app_start_worker(struct app *a)
{
    size_t i = a->worker_count++;

    a->workers = mem_realloc(a->workers, a->worker_count, sizeof(struct worker *));
    struct worker_config wc = {
        .cfg = a->cfg,
        .number = (uint32_t) i + 1,
        .owner = a->owner,
        .feed = feed_new(a->client, plan_wants_headers(a->plan)),
        .reports = &a->reports,
        .policies = a->policies,
        .beat = vitals_worker(&a->vitals, (uint32_t) i + 1),
    };
    a->workers[i] = worker_start(&wc);
    app_schemas_welcome(a, a->workers[i]);
}

struct totals app_totals(const struct app *a)
{
    struct totals t = a->past;

    for (size_t i = 0; i < a->worker_count; i++) {
        stats_add(&t, worker_stats(a->workers[i]));
    }
    return t;
}

/*
 * How many batches a worker can hold: the open one and the one on its way; a copy of that, with one
 * row for each key, where rows have keys (row/batch/fold.h); and where records may become dead
 * letters, the batch that is made again with dead letters in it.
 */
static uint64_t batches_held(const struct config *cfg)
{
    bool folds = false;
    bool rewrites = false;

    for (size_t i = 0; i < cfg->route_count; i++) {
        folds |= cfg->routes[i].mode != MODE_APPEND;
        rewrites |= cfg->routes[i].on_error == ON_ERROR_DEAD_LETTER;
    }
    return UINT64_C(2) + folds + rewrites;
}

uint64_t app_buffer_limit(const struct app *a)
{
    return config_workers(a->cfg) * batches_held(a->cfg) * a->cfg->batch.max_bytes;
}

/* Invariant I8: what queues, batches, responses of brokers and our own answers can hold together.
 */
void app_log_memory(const struct app *a)
{
    uint32_t workers = config_workers(a->cfg);
    struct client_memory m = client_memory(a->cfg, a->first_workers);
    uint64_t batches = batches_held(a->cfg) * a->cfg->batch.max_bytes;
    /* A response may come on top of a full queue while the next is on its way, each with what the
     * library adds to its messages. */
    uint64_t fetching = 2 * 2 * m.fetch_bytes;
    uint64_t replay = a->has_schema ? a->cfg->batch.max_bytes : 0;
    uint64_t http = site_memory(a->cfg);
    uint64_t schemas = config_has_registry(a->cfg) ? SCHEMAS_BOUND : 0;
    uint64_t bound = workers * (m.queue_bytes + batches) + fetching + replay + http + schemas +
                     PROGRAM_BYTES;

    log_event(LOG(memory_bound), (unsigned long long) (bound >> 20), workers,
              (unsigned long long) (m.queue_bytes >> 20), (unsigned long long) (batches >> 20),
              (unsigned long long) (fetching >> 20), (unsigned long long) (replay >> 20),
              (unsigned long long) (http >> 20), (unsigned long long) (schemas >> 20),
              (unsigned long long) (PROGRAM_BYTES >> 20));
}
