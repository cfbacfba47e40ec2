/*
 * Making, steering and closing the consumer. See client.h; docs/ARCHITECTURE.md, section "What
 * librdkafka really does", describes how each version of the library behaves.
 *
 * Eager and cooperative: the library lets a cooperative member add and remove single partitions, an
 * eager one only replace its whole assignment (rd_kafka_assign0 refuses the incremental calls
 * there). Replacing restarts every partition from the offset given for it; what was fetched before
 * is outdated and dropped. Decides nothing, retries nothing. Main thread.
 */
#include "kafka/client.h"

#include "base/mem.h"
#include "config/mask.h"
#include "kafka/librdkafka.h"
#include "kafka/nudge.h"
#include "kafka/properties.h"
#include "kafka/rejoin.h"
#include "kafka/token_source.h"
#include "kafka/traffic_taps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Values waiting for all workers together, and the least that one worker needs to stay busy between
 * two responses. */
#define QUEUE_BYTES_ALL (UINT64_C(64) << 20)
#define QUEUE_BYTES_MIN (UINT64_C(6) << 20)
#define FETCH_BYTES_MAX (UINT64_C(8) << 20)
/* What the library needs for each waiting message beside the value (its op, malloc's header). */
#define MESSAGE_OVERHEAD_BYTES UINT64_C(350)
/* The library's main thread answers at once; it never waits for a broker. */
#define SERVED_TIMEOUT_MS 1000
/* No event says when a member has left. */
#define LEAVE_POLL_MS 10

struct property {
    const char *name;
    const char *value;
};

/* What the promise rests on; the configuration refuses to set these (config/refused.def). */
static const struct property PROMISE[] = {
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "error"},
    {"enable.partition.eof", "true"},
    {"isolation.level", "read_committed"},
    {"check.crcs", "true"},
    {"log.queue", "false"}, /* kafka/lines.h */
};

/* Defaults of ours; the configuration may set any of them. */
static const struct property DEFAULTS[] = {
    {"allow.auto.create.topics", "false"},
    {"partition.assignment.strategy", "roundrobin"},
    /* There is one request at a time for each broker: at 20 ms of latency this is 200 MB/s of one
     * partition, 400 in all (bench: 1 MiB cost 13 % there). */
    {"fetch.message.max.bytes", "4194304"},
    {"fetch.max.bytes", "8388608"},
    /* How often an idle connection wakes up; what becomes fetchable meanwhile waits for that. The
     * queue of a single busy partition among idle ones must last as long. */
    {"fetch.wait.max.ms", "125"},
    /* How soon a member learns of a rebalance, hence how long partitions stand that are handed
     * over: with a second, more than one in each rolling restart (bench/rolling). */
    {"heartbeat.interval.ms", "300"},
    {"fetch.error.backoff.ms", "200"},
    {"socket.nagle.disable", "true"},
    {"socket.keepalive.enable", "true"},
    /* For this long a commit that is queued for a coordinator that has just gone holds up the group
     * (2.0.2). */
    {"socket.timeout.ms", "20000"},
    {"topic.metadata.refresh.interval.ms", "60000"},
    {"topic.metadata.propagation.max.ms", "5000"},
    {"reconnect.backoff.max.ms", "5000"},
};

/* Only newer versions of the library know these. */
static const struct property IF_KNOWN[] = {
    {"fetch.queue.backoff.ms", "10"},
    {"enable.metrics.push", "false"},
};

const char *client_property(const struct config *cfg, const char *name)
{
    const struct config_property *p = config_property_of(&cfg->kafka.properties, name);

    return p != NULL ? p->value : NULL;
}

uint64_t client_property_number(const struct config *cfg, const char *name, uint64_t otherwise)
{
    uint64_t number;

    return str_to_u64(str_of(client_property(cfg, name)), &number) ? number : otherwise;
}

/* What may wait for one worker: its share, but never less than what keeps it busy. */
static uint64_t queue_bytes_of(uint32_t workers)
{
    return MAX(QUEUE_BYTES_ALL / MAX(workers, 1), QUEUE_BYTES_MIN);
}

struct client_memory client_memory(const struct config *cfg, uint32_t workers)
{
    uint64_t queue_kbytes = client_property_number(cfg, "queued.max.messages.kbytes",
                                                   queue_bytes_of(workers) / 1024);

    return (struct client_memory){
        .queue_bytes = 2 * queue_kbytes * 1024,
        .fetch_bytes = client_property_number(cfg, "fetch.max.bytes", FETCH_BYTES_MAX),
    };
}

static void set_own(rd_kafka_conf_t *conf, const char *name, const char *value, bool if_known)
{
    char text[256];
    rd_kafka_conf_res_t res = rd_kafka_conf_set(conf, name, value, text, sizeof text);

    if (res != RD_KAFKA_CONF_OK && !(if_known && res == RD_KAFKA_CONF_UNKNOWN)) {
        fprintf(stderr, "bug: %s=%s: %s\n", name, value, text);
        abort();
    }
}

static void set_defaults(rd_kafka_conf_t *conf, const struct config *cfg, uint32_t workers)
{
    for (size_t i = 0; i < ARRAY_LEN(DEFAULTS); i++) {
        set_own(conf, DEFAULTS[i].name, DEFAULTS[i].value, false);
    }
    for (size_t i = 0; i < ARRAY_LEN(IF_KNOWN); i++) {
        set_own(conf, IF_KNOWN[i].name, IF_KNOWN[i].value, true);
    }
    /* Half of the queue's budget is for values, half for what the library adds to each message. */
    uint64_t queue_bytes = queue_bytes_of(workers);
    char number[32];
    snprintf(number, sizeof number, "%llu", (unsigned long long) (queue_bytes / 1024));
    set_own(conf, "queued.max.messages.kbytes", number, false);
    snprintf(number, sizeof number, "%llu",
             (unsigned long long) (queue_bytes / MESSAGE_OVERHEAD_BYTES));
    set_own(conf, "queued.min.messages", number, false);
    set_own(conf, "client.id", "pgsinkd", false);
    set_own(conf, "group.id", cfg->kafka.group, false);
}

bool client_set_brokers(rd_kafka_conf_t *conf, const struct config *cfg, struct error *err)
{
    char text[256];

    if (rd_kafka_conf_set(conf, "bootstrap.servers", cfg->kafka.brokers, text, sizeof text) !=
        RD_KAFKA_CONF_OK) {
        return config_error_at(cfg, cfg->kafka.brokers_pos, err, "kafka.brokers: %s", text);
    }
    return true;
}

/*
 * None of the library's events says that a broker does not know a partition any more, because its
 * topic was deleted or another broker leads it now. Only its debug log about topics does
 * (event_read_doubt), which is silent in normal operation.
 */
static void watch_topics(rd_kafka_conf_t *conf)
{
    char asked[256] = "";
    char all[sizeof asked + sizeof ",topic"];
    size_t size = sizeof asked;
    bool any = rd_kafka_conf_get(conf, "debug", asked, &size) == RD_KAFKA_CONF_OK && *asked != '\0';

    if (!any || (strstr(asked, "topic") == NULL && strstr(asked, "all") == NULL)) {
        snprintf(all, sizeof all, "%s%stopic", any ? asked : "", any ? "," : "");
        set_own(conf, "debug", all, false);
    }
}

/* Its threads', some with locks held. Only the one consumer of this process is listened to; without
 * a callback the library would print. */
static void on_log_of_others(const rd_kafka_t *rk, int level, const char *facility,
                             const char *text)
{
    (void) rk, (void) level, (void) facility, (void) text;
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    struct client *c = rk != NULL ? rd_kafka_opaque(rk) : NULL;

    if (c != NULL) {
        lines_add(&c->lines, level, facility, text);
    }
}

static void on_throttle(rd_kafka_t *rk, const char *name, int32_t broker, int ms, void *arg)
{
    struct client *c = arg;

    (void) rk, (void) name;
    traffic_throttled(c->traffic, broker, ms);
}

rd_kafka_conf_t *client_conf(const struct config *cfg, uint32_t workers, struct error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    set_defaults(conf, cfg, workers);
    if (!properties_set(conf, cfg, err)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(PROMISE); i++) {
        set_own(conf, PROMISE[i].name, PROMISE[i].value, false);
    }
    watch_topics(conf);
    token_source_use(conf, cfg);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_ERROR |
                                       RD_KAFKA_EVENT_OFFSET_COMMIT);
    rd_kafka_conf_set_log_cb(conf, on_log_of_others);
    return conf;
}

/*
 * Some combinations of properties are refused only when a client is made of them. c: whose it is
 * to be, and to connect; NULL: nobody's, without brokers. out_rejoin: for a sink whose truth is the
 * group's offsets, whose commits need care; NULL: they need none.
 */
static rd_kafka_t *make_consumer(const struct config *cfg, uint32_t workers, struct client *c,
                                 struct rejoin **out_rejoin, struct error *err)
{
    rd_kafka_conf_t *conf = client_conf(cfg, workers, err);

    if (conf == NULL) {
        return NULL;
    }
    if (c != NULL && !client_set_brokers(conf, cfg, err)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    if (c != NULL) {
        rd_kafka_conf_set_opaque(conf, c);
        rd_kafka_conf_set_log_cb(conf, on_log);
        rd_kafka_conf_set_throttle_cb(conf, on_throttle);
        traffic_tap(c->traffic, conf);
    }
    char text[512];
    struct rejoin *rejoin = out_rejoin != NULL ? rejoin_new(conf) : NULL;
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (rk == NULL) {
        rejoin_free(rejoin);
        rd_kafka_conf_destroy(conf);
        properties_refused(cfg, text, err);
        return NULL;
    }
    if (out_rejoin != NULL) {
        *out_rejoin = rejoin;
    }
    return rk;
}

/* A command that would never be run is a mistake. */
static bool check_token(const struct config *cfg, struct error *err)
{
    static const char *const others[] = {"sasl.oauthbearer.config",
                                         "enable.sasl.oauthbearer.unsecure.jwt"};
    const struct position pos = cfg->kafka.oauth_token_command_pos;

    if (cfg->kafka.oauth_token_command[0] == '\0') {
        return true;
    }
    const struct config_property *mechanism = config_sasl_mechanism(cfg);
    const char *protocol = client_property(cfg, "security.protocol");
    const char *method = client_property(cfg, "sasl.oauthbearer.method");
    if (mechanism == NULL || strcmp(mechanism->value, "OAUTHBEARER") != 0 || protocol == NULL ||
        strncasecmp(protocol, "sasl_", 5) != 0) {
        config_error_at(cfg, pos, err, "kafka.oauth_token_command needs SASL OAUTHBEARER");
        return error_hint(err, "Set security.protocol: SASL_SSL and sasl.mechanism: OAUTHBEARER in "
                               "kafka.properties.");
    }
    if (method != NULL && strcmp(method, "oidc") == 0) {
        config_error_at(cfg, pos, err,
                        "with sasl.oauthbearer.method: oidc librdkafka fetches "
                        "tokens itself, and kafka.oauth_token_command is not used");
        return error_hint(err, "Leave out one of them.");
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (client_property(cfg, others[i]) != NULL) {
            config_error_at(cfg, pos, err,
                            "kafka.oauth_token_command and the property '%s' "
                            "exclude each other",
                            others[i]);
            return error_hint(err, "Leave out one of them.");
        }
    }
    return true;
}

bool client_check(const struct config *cfg, struct error *err)
{
    /* The library checks files and combinations when a consumer is made: so one is made for a
     * moment, without brokers. */
    rd_kafka_t *rk = check_token(cfg, err)
                         ? make_consumer(cfg, config_workers(cfg), NULL, NULL, err)
                         : NULL;

    if (rk == NULL) {
        return false;
    }
    rd_kafka_destroy(rk);
    for (size_t i = 0; i < cfg->route_count; i++) {
        const struct config_topics *topics = &cfg->routes[i].topics;
        for (size_t k = 0; k < topics->count; k++) {
            if (strlen(topics->items[k].name) > 249 && !topics->items[k].is_regex) {
                return config_error_at(cfg, topics->items[k].pos, err,
                                       "a topic's name has at most 249 characters");
            }
        }
    }
    return true;
}

/* Half of a limit of the queues, as it is after all properties are set. */
static uint64_t half_of(rd_kafka_t *rk, const char *limit)
{
    char text[32];
    size_t size = sizeof text;
    uint64_t number = 0;

    if (rd_kafka_conf_get(rd_kafka_conf(rk), limit, text, &size) == RD_KAFKA_CONF_OK) {
        number = str_to_u64(str_of(text), &number) ? number : 0;
    }
    return MAX(number / 2, 1);
}

static const char *instance_id_of(const struct config *cfg)
{
    const char *id = client_property(cfg, "group.instance.id");

    return id != NULL && id[0] != '\0' ? id : NULL;
}

/* What the library's threads use: before they are there, and after them. */
static struct client *shell_new(void)
{
    struct client *c = mem_zalloc(sizeof *c);

    c->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (c->fd < 0) {
        abort();
    }
    c->traffic = traffic_new();
    lines_init(&c->lines, c->fd);
    reasons_init(&c->reasons);
    return c;
}

static void shell_free(struct client *c)
{
    lines_done(&c->lines);
    reasons_done(&c->reasons);
    traffic_free(c->traffic);
    close(c->fd);
    free(c);
}

/* A property is a secret if it is not printed as it is. */
static void hide_secrets(struct reasons *r, const struct config *cfg)
{
    for (size_t i = 0; i < cfg->kafka.properties.count; i++) {
        const struct config_property *p = &cfg->kafka.properties.items[i];
        _cleanup_buf_ struct buf shown = {0};
        mask_property(str_of(p->name), str_of(p->value), &shown);
        if (strcmp(buf_cstr(&shown), p->value) != 0) {
            reasons_hide(r, p->value);
        }
    }
    reasons_show(r, cfg->kafka.brokers);
    reasons_show(r, client_property(cfg, "sasl.username"));
    /* Kafka's own words, of which a short secret may be one. */
    reasons_show(r,
                 "SASL authentication error: Authentication failed: Invalid username or password");
    reasons_show(r, "Authentication failed during authentication due to invalid credentials");
}

/* Before 2.6.1 its nonce is one that Kafka 4 does not take (librdkafka #4895). */
static bool scram_fails(const struct config *cfg)
{
    const struct config_property *mechanism = config_sasl_mechanism(cfg);

    return mechanism != NULL && strncmp(mechanism->value, "SCRAM-", 6) == 0 &&
           rd_kafka_version() < 0x020601ff;
}

struct client *client_new(const struct config *cfg, uint32_t workers, struct error *err)
{
    struct rejoin *rejoin = NULL;
    struct client *c = shell_new();

    c->reasons.library = rd_kafka_version_str();
    c->reasons.scram_fails = scram_fails(cfg);
    hide_secrets(&c->reasons, cfg);
    rd_kafka_t *rk = make_consumer(cfg, workers, c, config_has_ledger(cfg) ? NULL : &rejoin, err);

    if (rk == NULL) {
        shell_free(c);
        return NULL;
    }
    c->instance_id = mem_strdup(instance_id_of(cfg));
    c->rejoin = rejoin;
    c->rk = rk;
    token_source_start(rk, cfg);
    c->nudge = nudge_new(rk);
    c->nudge_messages = half_of(rk, "queued.min.messages");
    c->nudge_bytes = half_of(rk, "queued.max.messages.kbytes") * 1000;
    rd_kafka_poll_set_consumer(rk);
    c->queue = rd_kafka_queue_get_consumer(rk);
    uint64_t one = 1;
    rd_kafka_queue_io_event_enable(c->queue, c->fd, &one, sizeof one);
    return c;
}

static bool is_other(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) != 0;
}

bool client_has_other_login(const struct config *before, const struct config *after)
{
    return is_other(client_property(before, "sasl.username"),
                    client_property(after, "sasl.username")) ||
           is_other(client_property(before, "sasl.password"),
                    client_property(after, "sasl.password"));
}

void client_set_login(struct client *c, const struct config *cfg)
{
    reasons_hide(&c->reasons, client_property(cfg, "sasl.password"));
    rd_kafka_error_t *error = rd_kafka_sasl_set_credentials(
        c->rk, client_property(cfg, "sasl.username"), client_property(cfg, "sasl.password"));

    if (error != NULL) {
        rd_kafka_error_destroy(error); /* one of the two is missing: it could never log in */
    }
}

bool client_subscribe(struct client *c, const struct config *cfg, struct error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);

    for (size_t i = 0; i < cfg->route_count; i++) {
        const struct config_topics *topics = &cfg->routes[i].topics;
        for (size_t k = 0; k < topics->count; k++) {
            if (rd_kafka_topic_partition_list_find(list, topics->items[k].name,
                                                   RD_KAFKA_PARTITION_UA) == NULL) {
                rd_kafka_topic_partition_list_add(list, topics->items[k].name,
                                                  RD_KAFKA_PARTITION_UA);
            }
        }
    }
    rd_kafka_resp_err_t code = rd_kafka_subscribe(c->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return error_set(err, ERROR_SETUP, "cannot subscribe: %s", rd_kafka_err2str(code));
    }
    return true;
}

const char *client_instance_id(const struct client *c)
{
    return c->instance_id;
}

void client_unsubscribe(struct client *c)
{
    rd_kafka_unsubscribe(c->rk);
}

bool client_is_member(const struct client *c)
{
    char *id = rd_kafka_memberid(c->rk);
    bool is_member = id != NULL && id[0] != '\0';

    rd_kafka_mem_free(c->rk, id);
    return is_member;
}

int client_fd(const struct client *c)
{
    return c->fd;
}

void client_wake(struct client *c)
{
    uint64_t one = 1;

    if (write(c->fd, &one, sizeof one) < 0) {
        /* EAGAIN: it is readable already */
    }
}

bool client_is_cooperative(const struct client *c)
{
    return c->cooperative;
}

rd_kafka_topic_partition_list_t *client_list(const struct partition_ref *refs, size_t n)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int) n);

    for (size_t i = 0; i < n; i++) {
        rd_kafka_topic_partition_list_add(list, refs[i].topic, refs[i].partition)->offset =
            refs[i].offset;
    }
    return list;
}

bool client_is_away(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__RESOLVE ||
           code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
           code == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE;
}

bool client_take_error(rd_kafka_error_t *error, const char *context, struct error *out)
{
    if (error == NULL) {
        return true;
    }
    bool fatal = rd_kafka_error_is_fatal(error) != 0;
    error_set(out, fatal ? ERROR_KAFKA : ERROR_AGAIN, "%s: %s", context,
              rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return false;
}

void client_accept(struct client *c)
{
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(1);

    if (c->cooperative) {
        rd_kafka_error_t *error = rd_kafka_incremental_assign(c->rk, none);
        if (error != NULL) {
            rd_kafka_error_destroy(error);
        }
    } else {
        rd_kafka_assign(c->rk, none);
    }
    rd_kafka_topic_partition_list_destroy(none);
}

/*
 * Given the epoch of the last record, the library detects a truncation at the next change of
 * leader. Before 2.4 that made it loop or start over (librdkafka #4261, #4433, #4680).
 */
static void set_epochs(rd_kafka_topic_partition_list_t *list, const struct partition_ref *refs)
{
#if RD_KAFKA_VERSION >= 0x020400ff
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_set_leader_epoch(&list->elems[i], refs[i].leader_epoch);
    }
#else
    (void) list;
    (void) refs;
#endif
}

bool client_fetch(struct client *c, const struct partition_ref *refs, size_t n, struct error *err)
{
    rd_kafka_topic_partition_list_t *list = client_list(refs, n);

    set_epochs(list, refs);
    bool ok;
    if (c->cooperative) {
        ok = client_take_error(rd_kafka_incremental_assign(c->rk, list), "cannot fetch", err);
    } else {
        rd_kafka_resp_err_t code = rd_kafka_assign(c->rk, list);
        ok = code == RD_KAFKA_RESP_ERR_NO_ERROR ||
             error_set(err, ERROR_AGAIN, "cannot fetch: %s", rd_kafka_err2str(code));
    }
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

/*
 * Waits until the library has done what it was asked of the partition before: a seek is answered in
 * its turn after that. The library refuses this offset in every state, so the seek moves nothing.
 */
static void wait_served(struct client *c, const struct partition_ref *ref)
{
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(c->rk, ref->topic, NULL);

    if (rkt != NULL) {
        while (rd_kafka_seek(rkt, ref->partition, RD_KAFKA_OFFSET_STORED, SERVED_TIMEOUT_MS) ==
               RD_KAFKA_RESP_ERR__TIMED_OUT) {
        }
        rd_kafka_topic_destroy(rkt);
    }
}

static void unassign(struct client *c, const struct partition_ref *refs, size_t n)
{
    rd_kafka_topic_partition_list_t *list = client_list(refs, n);
    rd_kafka_error_t *error = rd_kafka_incremental_unassign(c->rk, list);

    rd_kafka_topic_partition_list_destroy(list);
    if (error != NULL) {
        rd_kafka_error_destroy(error); /* it was not being fetched: that is what we want */
    }
}

void client_unfetch(struct client *c, const struct partition_ref *refs, size_t n)
{
    if (c->cooperative) {
        unassign(c, refs, n);
    } else {
        client_accept(c);
    }
    for (size_t i = 0; i < n; i++) {
        wait_served(c, &refs[i]);
    }
}

void client_give_up(struct client *c, const struct partition_ref *refs, size_t n)
{
    if (c->cooperative) {
        rejoin_expect(c->rejoin);
        unassign(c, refs, n);
    } else {
        rd_kafka_assign(c->rk, NULL);
    }
}

/*
 * A member of a cooperative group rejoins without an event, and a commit sent meanwhile waits on
 * the connection until that is answered. Then the commit is of an old generation, and before 2.10
 * the library takes this answer for the loss of all partitions (librdkafka #4908).
 */
bool client_may_inform(const struct client *c)
{
    return !c->cooperative || rd_kafka_version() >= 0x020a0000;
}

bool client_commit(struct client *c, const struct partition_ref *refs, size_t n)
{
    if (c->commit_pending || n == 0 || (c->cooperative && !rejoin_is_calm(c->rejoin))) {
        return false;
    }
    rd_kafka_topic_partition_list_t *list = client_list(refs, n);
    /* Not rd_kafka_commit: without a callback we would never learn how it ended. */
    rd_kafka_resp_err_t code = rd_kafka_commit_queue(c->rk, list, c->queue, NULL, NULL);
    rd_kafka_topic_partition_list_destroy(list);
    c->commit_pending = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    return c->commit_pending;
}

/* Takes one event of a consumer that is ending. A rebalance is answered by giving everything up. */
static void serve_last(struct client *c, rd_kafka_queue_t *queue, int timeout_ms)
{
    rd_kafka_event_t *ev = rd_kafka_queue_poll(queue, timeout_ms);

    if (ev != NULL && rd_kafka_event_type(ev) == RD_KAFKA_EVENT_REBALANCE) {
        if (rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS && c->cooperative) {
            rd_kafka_error_destroy(
                rd_kafka_incremental_unassign(c->rk, rd_kafka_event_topic_partition_list(ev)));
        } else {
            rd_kafka_assign(c->rk, NULL);
        }
    }
    rd_kafka_event_destroy(ev);
}

void client_leave(struct client *c, usec_t deadline)
{
    if (c->instance_id == NULL) {
        return;
    }
    client_unsubscribe(c);
    while (client_is_member(c) && clock_mono() < deadline) {
        serve_last(c, c->queue, LEAVE_POLL_MS);
    }
}

/* rd_kafka_consumer_close with a deadline: we poll the queue ourselves and answer the last
 * revocation. */
static bool leave_group(struct client *c, usec_t deadline)
{
    /* Not c->queue: it would forward to itself. */
    rd_kafka_queue_t *queue = rd_kafka_queue_new(c->rk);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(c->rk, queue);

    if (error != NULL) {
        rd_kafka_error_destroy(error);
        rd_kafka_queue_destroy(queue);
        return true;
    }
    while (!rd_kafka_consumer_closed(c->rk)) {
        usec_t now = clock_mono();
        if (now >= deadline) {
            return false; /* the queue is left, with all the rest */
        }
        serve_last(c, queue, MIN(clock_poll_ms(now, deadline), 100));
    }
    rd_kafka_queue_destroy(queue);
    return true;
}

/* Joins the library's threads, one of which may be looking up a host name without an answer. */
static void destroy(void *rk)
{
    rd_kafka_destroy(rk);
}

bool client_close(struct client *c, usec_t deadline)
{
    atomic_store_explicit(&c->ending, true, memory_order_relaxed);
    c->nudge = nudge_free(c->nudge);
    if (!leave_group(c, deadline)) {
        return false;
    }
    rd_kafka_queue_io_event_enable(c->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(c->queue);
    thread_start(&c->destroyer, "destroy", destroy, c->rk);
    usec_t now = clock_mono();
    if (!thread_join_until(&c->destroyer, now < deadline ? deadline - now : 0)) {
        return false;
    }
    rejoin_free(c->rejoin);
    free(c->instance_id);
    shell_free(c);
    return true;
}

bool client_cluster_id(const struct client *c, char *out, size_t size)
{
    char *id = rd_kafka_clusterid(c->rk, 0);

    snprintf(out, size, "%s", id != NULL ? id : "");
    rd_kafka_mem_free(c->rk, id);
    return out[0] != '\0';
}

void client_why_away(const struct client *c, const char *otherwise, struct error *err)
{
    reasons_explain(&c->reasons, otherwise, err);
}

uint64_t client_why_changes(const struct client *c)
{
    return c->reasons.changes;
}

bool client_why_is_known(const struct client *c)
{
    return reasons_are_known(&c->reasons);
}

_Static_assert(REASONS_MOST == CLIENT_MISSING_MOST, "client_missing gives all of them");

size_t client_missing(struct client *c, uint64_t names[CLIENT_MISSING_MOST], struct error *err)
{
    for (size_t i = 0; i < c->reasons.count; i++) {
        reasons_up(&c->reasons, i, traffic_up_at(c->traffic, c->reasons.items[i].broker));
    }
    return reasons_missing(&c->reasons, clock_mono(), names, err);
}

void client_reached(struct client *c)
{
    reasons_clear(&c->reasons);
}

const struct traffic *client_traffic(const struct client *c)
{
    return c->traffic;
}

const char *client_library_version(void)
{
    return rd_kafka_version_str();
}
