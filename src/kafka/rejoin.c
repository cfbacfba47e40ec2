/* The interceptors, see rejoin.h. on_request and on_response run in the library's threads, the rest
 * in main's. */
#include "kafka/rejoin.h"

#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Kafka's numbers of these requests. */
#define JOIN_GROUP 11
#define HEARTBEAT 12
#define SYNC_GROUP 14

/* How long the library takes, generously, to send a request to join after the answer that causes
 * it. */
#define QUIET (10 * USEC_PER_MSEC)
/* Joins are at least a second apart. A join that never comes is not waited for any longer. */
#define EXPECT_LIMIT (5 * USEC_PER_SEC)

struct rejoin {
    _Atomic bool joining;          /* from JoinGroup sent to SyncGroup answered */
    _Atomic usec_t quiet_until;    /* an answer may just be making it join */
    _Atomic usec_t expected_until; /* a revocation was answered; 0 no */
};

static rd_kafka_resp_err_t on_request(rd_kafka_t *rk, int fd, const char *broker, int32_t id,
                                      int16_t key, int16_t version, int32_t correlation,
                                      size_t size, void *arg)
{
    struct rejoin *j = arg;

    (void) rk, (void) fd, (void) broker, (void) id, (void) version, (void) correlation;
    (void) size;
    if (key == JOIN_GROUP) {
        atomic_store(&j->joining, true);
        atomic_store(&j->expected_until, 0);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_response(rd_kafka_t *rk, int fd, const char *broker, int32_t id,
                                       int16_t key, int16_t version, int32_t correlation,
                                       size_t size, int64_t rtt, rd_kafka_resp_err_t err, void *arg)
{
    struct rejoin *j = arg;

    (void) rk, (void) fd, (void) broker, (void) id, (void) version, (void) correlation;
    (void) size, (void) rtt;
    bool lost = key == JOIN_GROUP && err != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (key == HEARTBEAT || key == SYNC_GROUP || lost) {
        atomic_store(&j->quiet_until, clock_mono() + QUIET);
    }
    if (key == SYNC_GROUP || lost) {
        atomic_store(&j->joining, false);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *arg,
                                  char *text, size_t size)
{
    (void) conf, (void) text, (void) size;
    rd_kafka_resp_err_t code = rd_kafka_interceptor_add_on_request_sent(rk, "pgsinkd", on_request,
                                                                        arg);
    return code != RD_KAFKA_RESP_ERR_NO_ERROR
               ? code
               : rd_kafka_interceptor_add_on_response_received(rk, "pgsinkd", on_response, arg);
}

struct rejoin *rejoin_new(rd_kafka_conf_t *conf)
{
    if (rd_kafka_version() >= 0x020a0000) {
        return NULL;
    }
    struct rejoin *j = mem_zalloc(sizeof *j);
    rd_kafka_conf_interceptor_add_on_new(conf, "pgsinkd", on_new, j);
    return j;
}

struct rejoin *rejoin_free(struct rejoin *j)
{
    free(j);
    return NULL;
}

void rejoin_expect(struct rejoin *j)
{
    if (j != NULL) {
        atomic_store(&j->expected_until, clock_mono() + EXPECT_LIMIT);
    }
}

bool rejoin_is_calm(const struct rejoin *j)
{
    if (j == NULL) {
        return true;
    }
    usec_t now = clock_mono();
    return !atomic_load(&j->joining) && now >= atomic_load(&j->quiet_until) &&
           now >= atomic_load(&j->expected_until);
}
