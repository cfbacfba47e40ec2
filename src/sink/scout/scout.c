/*
 * The scout's loop: takes a question, asks, posts it back as its own answer; a failed one after a
 * pause. It decides nothing, and remembers only whether the brokers were reached last. A stop is
 * noticed between questions, and while it waits for PostgreSQL. Scout thread; start, ask, stop:
 * main.
 */
#include "sink/scout/scout.h"

#include "base/backoff.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "base/thread.h"
#include "pg/holders.h"
#include "pg/members.h"
#include "pg/schema.h"
#include "pg/topic_entries.h"
#include "sink/plan/prepare.h"
#include "sink/scout/creating.h"
#include "sink/scout/trimmer.h"
#include "sink/scout/verifier.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ASK_TIMEOUT (2 * USEC_PER_SEC) /* one question; bounds how long a stop waits */

struct scout {
    const struct config *cfg;
    struct client *client;
    const char *owner;
    struct mailbox *answers;
    struct mailbox questions;
    struct mail *slow; /* of them, taken: plans with tables to be made, one after each round */
    struct thread thread;
    int stop_fd;
    struct conn *conn;        /* opened for SCOUT_PLAN and the like, closed afterwards */
    struct conn *replay_conn; /* ... for SCOUT_REPLAY, SCOUT_SCHEMA: waits longer for an answer */
    struct verifier verifier;
    struct trimmer trimmer;
    struct backoff backoff;
    bool away;
    bool refused; /* the last connection to PostgreSQL was, for a person to fix */
};

static void report(struct scout *s, enum scout_kind kind, const struct error *err)
{
    struct scout_mail *m = scout_mail_new(kind, 0);

    if (err != NULL) {
        m->error = *err;
    }
    mailbox_post(s->answers, &m->mail);
}

/* One report per change of state, however much is asked in between. A question that a broker has
 * answered by an error, such as one about a topic that was deleted, has reached it. */
static void report_brokers(struct scout *s, bool ok, const struct error *err)
{
    bool reached = ok || err->class != ERROR_LINK;

    if (reached == s->away) {
        s->away = !reached;
        report(s, reached ? SCOUT_REACHABLE : SCOUT_AWAY, err);
    }
}

static int64_t start_of(const struct config *cfg)
{
    switch (cfg->kafka.start) {
    case START_LATEST:
        return LOOKUP_LATEST;
    case START_TIME:
        return cfg->kafka.start_ms;
    case START_EARLIEST:
        break;
    }
    return LOOKUP_EARLIEST;
}

/* First offsets, as at_ms says, of those partitions that have none yet and whose by_start is this.
 */
static bool ask_some(struct scout *s, struct scout_mail *m, bool by_start, int64_t at_ms,
                     struct error *err)
{
    struct partition_ref *some = mem_array(m->ref_count, sizeof *some);
    size_t n = 0;

    for (size_t i = 0; i < m->ref_count; i++) {
        if (m->refs[i].offset == LOOKUP_NONE && m->by_start[i] == by_start) {
            some[n++] = m->refs[i];
        }
    }
    bool ok = lookup_offsets(s->client, some, n, at_ms, ASK_TIMEOUT, err);
    n = 0;
    for (size_t i = 0; ok && i < m->ref_count; i++) {
        if (m->refs[i].offset == LOOKUP_NONE && m->by_start[i] == by_start) {
            m->refs[i].offset = some[n++].offset;
        }
    }
    free(some);
    return ok;
}

/* Without a ledger: the group's offsets, and where it has none, where kafka.start says. */
static bool ask_group_offsets(struct scout *s, struct scout_mail *m, struct error *err)
{
    if (!lookup_committed(s->client, m->refs, m->ref_count, ASK_TIMEOUT, err)) {
        return false;
    }
    for (size_t i = 0; i < m->ref_count; i++) {
        m->in_group[i] = m->refs[i].offset >= 0;
        m->by_start[i] = true;
    }
    return ask_some(s, m, true, start_of(s->cfg), err);
}

static bool ask_first(struct scout *s, struct scout_mail *m, struct error *err)
{
    if (!config_has_ledger(s->cfg)) {
        return ask_group_offsets(s, m, err);
    }
    for (size_t i = 0; i < m->ref_count; i++) {
        m->refs[i].offset = LOOKUP_NONE;
    }
    return ask_some(s, m, true, start_of(s->cfg), err) &&
           ask_some(s, m, false, LOOKUP_EARLIEST, err);
}

static bool is_partial(const struct scout_mail *m)
{
    for (size_t i = 0; i < m->ref_count; i++) {
        if (m->refs[i].offset == LOOKUP_FAILED) {
            return true;
        }
    }
    return false;
}

/* One report when connections begin to be refused, and one when they are not any more. */
static bool has_session(struct scout *s, struct conn *conn, struct error *err)
{
    if (conn_is_open(conn)) {
        return true;
    }
    bool ok = conn_open_wait(conn, s->stop_fd, err);
    bool refused = !ok && err->class == ERROR_SETUP;
    if (refused ? !s->refused : ok && s->refused) {
        s->refused = refused;
        report(s, refused ? SCOUT_REFUSED : SCOUT_ADMITTED, refused ? err : NULL);
    }
    return ok;
}

/* In m->refs the offset becomes SCOUT_HAS_ROW where a partition had its row before this. */
static bool write_first_use(struct scout *s, struct scout_mail *m, struct error *err)
{
    _cleanup_mem_ struct ledger_entry *rows = mem_array(MAX(m->ref_count, 1), sizeof *rows);
    size_t n = 0;

    for (size_t i = 0; i < m->ref_count; i++) {
        if (m->refs[i].offset >= 0) {
            rows[n++] = (struct ledger_entry){.topic = m->refs[i].topic,
                                              .partition = m->refs[i].partition,
                                              .first_offset = m->refs[i].offset,
                                              .tag = &m->refs[i]};
        }
    }
    if (!topic_entries_use(s->conn, s->cfg->postgres.schema, s->cfg->sink, m->entry, m->reason,
                           rows, n, err)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        struct partition_ref *ref = rows[i].tag;
        ref->offset = rows[i].inserted ? ref->offset : SCOUT_HAS_ROW;
    }
    return true;
}

/*
 * Everything that the entry matches, or nothing: a partition that got its row later would begin at
 * its earliest record. Only if kafka.start says the same may a partition that does not answer be
 * left out.
 */
static bool ask_first_use(struct scout *s, struct scout_mail *m, struct error *err)
{
    if (!lookup_offsets(s->client, m->refs, m->ref_count, start_of(s->cfg), ASK_TIMEOUT, err)) {
        return false;
    }
    if (is_partial(m) && s->cfg->kafka.start != START_EARLIEST) {
        return error_set(err, ERROR_LINK, "a partition of topics entry '%s' does not answer",
                         m->entry);
    }
    return has_session(s, s->conn, err) && write_first_use(s, m, err);
}

static bool ask_range(struct scout *s, struct scout_mail *m, struct error *err)
{
    struct partition_ref high = m->refs[0];

    if (!lookup_offsets(s->client, m->refs, 1, LOOKUP_EARLIEST, ASK_TIMEOUT, err) ||
        !lookup_offsets(s->client, &high, 1, LOOKUP_LATEST, ASK_TIMEOUT, err)) {
        return false;
    }
    m->high = high.offset;
    return true;
}

/* A table that cannot be used is an answer, not a failure: only a database that is away is asked
 * again. */
static bool ask_plan(struct scout *s, struct scout_mail *m, struct error *err)
{
    if (!has_session(s, s->conn, err)) {
        return false;
    }
    for (size_t i = 0; i < m->job_count; i++) {
        struct plan_job *job = m->jobs[i];
        bool ok = job->mapping != NULL || plan_job_run(job, s->conn, err);
        if (!ok && job->table == NULL && creating_is_wanted(job, err)) {
            if (!m->is_slow) {
                m->is_slow = true;
                return true;
            }
            ok = creating_run_job(job, m->topic, &m->schemas, s->client, s->conn, ASK_TIMEOUT, err);
            if (!ok && creation_schemas_lack(&m->schemas) != NULL) {
                return true;
            }
        }
        if (!ok) {
            m->error = *err;
            return err->class == ERROR_SETUP;
        }
    }
    return true;
}

/* The same of each table: one that cannot be used must not keep the others from being renewed. */
static bool ask_renew(struct scout *s, struct scout_mail *m, struct error *err)
{
    if (m->job_count > 0 && !has_session(s, s->conn, err)) {
        return false;
    }
    for (size_t i = 0; i < m->job_count; i++) {
        if (!plan_job_run(m->jobs[i], s->conn, err)) {
            if (err->class != ERROR_SETUP) {
                return false;
            }
            m->jobs[i]->fault = *err;
        }
    }
    return true;
}

static struct members_key member_key(const struct scout *s)
{
    return (struct members_key){
        .schema = s->cfg->postgres.schema,
        .sink = s->cfg->sink,
        .instance_id = client_instance_id(s->client),
    };
}

/* A right that is missing is an answer; only a database that is away is asked again. */
static bool ask_members(struct scout *s, struct scout_mail *m, struct error *err)
{
    struct members_key key = member_key(s);

    if (!has_session(s, s->conn, err)) {
        return false;
    }
    bool ok = m->kind == SCOUT_JOINED
                  ? members_write(s->conn, &key, m->names, m->name_count, err)
                  : members_read(s->conn, &key, &m->named, &m->names, &m->name_count, err);
    if (!ok && err->class == ERROR_SETUP) {
        m->error = *err;
        return true;
    }
    return ok;
}

static bool ask_subscribed(struct scout *s, struct scout_mail *m, struct error *err)
{
    bool ok = lookup_subscribed(s->client, s->cfg, &m->topics, &m->topic_count, ASK_TIMEOUT, err);

    report_brokers(s, ok, err);
    return ok;
}

static bool ask_member(struct scout *s, struct scout_mail *m, struct error *err)
{
    return ask_subscribed(s, m, err) && (!config_has_ledger(s->cfg) || ask_members(s, m, err));
}

/* Whether we are in it is for the library's own thread to say, which may be busy for long with very
 * many partitions. What belongs to no group is unsettled. The group after the topics, so that what
 * a rebalance has just given out is not taken for missing. */
static bool ask_group(struct scout *s, struct scout_mail *m, struct error *err)
{
    if (!client_is_member(s->client)) {
        m->group = GROUP_UNSETTLED;
        return true;
    }
    if (!ask_subscribed(s, m, err)) {
        return false;
    }
    free(TAKE_PTR(m->refs)); /* of none, as it was made */
    m->group = group_ask(s->client, s->cfg->kafka.group, &m->refs, &m->ref_count, ASK_TIMEOUT);
    return true;
}

/* A route that cannot be stored to is an answer, too: the replay goes on after it. */
static bool ask_replay(struct scout *s, struct scout_mail *m, struct error *err)
{
    if (!has_session(s, s->replay_conn, err)) {
        return false;
    }
    if (replay_chunk(&m->replay, s->cfg, s->owner, s->replay_conn, s->stop_fd, err)) {
        return true;
    }
    conn_close(s->replay_conn); /* whatever transaction is open */
    m->error = *err;
    return err->class == ERROR_SETUP;
}

static bool ask_seeks(struct scout *s, struct scout_mail *m, struct error *err)
{
    return has_session(s, s->conn, err) &&
           seeking_round(&m->seeking, s->cfg, s->client, s->conn, ASK_TIMEOUT, err);
}

static bool ask_heartbeat(struct scout *s, struct scout_mail *m, struct error *err)
{
    return has_session(s, s->conn, err) &&
           heartbeats_write(s->conn, s->cfg->postgres.schema, s->cfg->sink, m->beat, &m->seeks_wait,
                            err);
}

static bool ask_farewell(struct scout *s, const struct scout_mail *m, struct error *err)
{
    return has_session(s, s->conn, err) &&
           heartbeats_remove(s->conn, s->cfg->postgres.schema, s->cfg->sink, m->beat->owner, err);
}

/* Without a ledger a partition stands where it would begin; and nothing says whose it is. */
static bool ask_ledger(struct scout *s, struct scout_mail *m, struct error *err)
{
    m->owners = mem_array(m->ref_count, sizeof *m->owners);
    if (!config_has_ledger(s->cfg)) {
        bool ok = ask_group_offsets(s, m, err);
        report_brokers(s, ok, err);
        return ok;
    }
    if (!has_session(s, s->conn, err)) {
        return false;
    }
    struct holder *holders = mem_array(m->ref_count, sizeof *holders);
    for (size_t i = 0; i < m->ref_count; i++) {
        holders[i] = (struct holder){.topic = m->refs[i].topic, .partition = m->refs[i].partition};
    }
    bool ok = holders_read(s->conn, s->cfg->postgres.schema, s->cfg->sink, holders, m->ref_count,
                           err);
    for (size_t i = 0; ok && i < m->ref_count; i++) {
        m->refs[i].offset = holders[i].next_offset;
        m->owners[i] = holders[i].owner;
    }
    free(holders);
    return ok;
}

/* A bad file is an answer, too. */
static void read_file(struct scout *s, struct scout_mail *m)
{
    _cleanup_mem_ struct config_faults *faults = mem_zalloc(sizeof *faults);

    m->config = config_load_all(s->cfg->path, CONFIG_TO_RUN, faults);
    if (m->config != NULL && !prepare_check_file(m->config, faults)) {
        m->config = config_free(m->config);
    }
    if (m->config == NULL) {
        m->error = faults->items[0];
    }
}

/* What is ours in the database, before the first dead letter of a sink without a ledger. By the
 * connection that waits longer: the steps take a while on a slow server. */
static bool ask_schema(struct scout *s, struct scout_mail *m, struct error *err)
{
    if (!has_session(s, s->replay_conn, err)) {
        return false;
    }
    m->letters = prepare_letters(m->cfg, s->replay_conn, &m->schema_steps, err);
    if (m->letters == NULL) {
        conn_close(s->replay_conn);
    }
    return m->letters != NULL;
}

/* Without the rights each transaction would be refused, so they are asked for before. */
static bool ask_history(struct scout *s, const struct scout_mail *m, struct error *err)
{
    return has_session(s, s->conn, err) &&
           schema_check_history(s->conn, m->cfg->postgres.schema, err);
}

static struct conn_settings settings_of(const struct config *cfg)
{
    return (struct conn_settings){
        .cfg = cfg,
        .synchronous_commit = "on",
        .lock_timeout_usec = config_lock_timeout(cfg),
        .timeout_usec = MIN(cfg->postgres.timeout, ASK_TIMEOUT),
        .connections = config_connections(cfg),
    };
}

static struct conn_settings replay_settings_of(const struct config *cfg)
{
    struct conn_settings settings = settings_of(cfg);

    settings.timeout_usec = cfg->postgres.timeout;
    settings.lock_timeout_usec = MIN(settings.lock_timeout_usec, ASK_TIMEOUT);
    return settings;
}

/* Making a table takes long where there are many, as of topics that are empty: between two of them
 * everything else that waits is answered. */
static void add_slow(struct scout *s, struct scout_mail *m)
{
    struct mail **at = &s->slow;

    while (*at != NULL) {
        at = &(*at)->next;
    }
    m->mail.next = NULL;
    *at = &m->mail;
}

static struct scout_mail *take_slow(struct scout *s)
{
    struct mail *m = s->slow;

    if (m != NULL) {
        s->slow = m->next;
    }
    return (struct scout_mail *) m;
}

/* Connections are short-lived: those of after this have the settings of after this. */
static void configure(struct scout *s, const struct config *cfg)
{
    struct scout_mail *m;

    while ((m = take_slow(s)) != NULL) { /* of the former one: they are asked again */
        m->failed = true;
        mailbox_post(s->answers, &m->mail);
    }
    struct conn_settings settings = settings_of(cfg);
    struct conn_settings replay_settings = replay_settings_of(cfg);

    s->cfg = cfg;
    verifier_configure(&s->verifier, cfg);
    trimmer_configure(&s->trimmer, cfg);
    conn_close(s->conn);
    conn_configure(s->conn, &settings);
    conn_close(s->replay_conn);
    conn_configure(s->replay_conn, &replay_settings);
}

static bool answer(struct scout *s, struct scout_mail *m, struct error *err)
{
    bool ok = true;

    switch (m->kind) {
    case SCOUT_FIRST:
        ok = ask_first(s, m, err);
        break;
    case SCOUT_FIRST_USE:
        return ask_first_use(s, m, err);
    case SCOUT_VERIFY:
        return verifier_ask(&s->verifier, m, ASK_TIMEOUT,
                            err); /* of a partition without a leader: says nothing */
    case SCOUT_ENDS:
    case SCOUT_TARGET_ENDS:
        ok = lookup_offsets(s->client, m->refs, m->ref_count, LOOKUP_LATEST, ASK_TIMEOUT, err);
        break;
    case SCOUT_RANGE:
        ok = ask_range(s, m, err);
        break;
    case SCOUT_PLAN:
        return ask_plan(s, m, err); /* says nothing about the brokers */
    case SCOUT_RENEW:
        return ask_renew(s, m, err);
    case SCOUT_REPLAY:
        return ask_replay(s, m, err);
    case SCOUT_SEEKS:
        return ask_seeks(s, m, err);
    case SCOUT_HEARTBEAT:
        return ask_heartbeat(s, m, err);
    case SCOUT_FAREWELL:
        return ask_farewell(s, m, err);
    case SCOUT_LEDGER:
        return ask_ledger(s, m, err);
    case SCOUT_TOPICS:
    case SCOUT_TARGETS:
        ok = lookup_topics(s->client, &m->topics, &m->topic_count, ASK_TIMEOUT, err);
        break;
    case SCOUT_MEMBER:
        return ask_member(s, m, err);
    case SCOUT_JOINED:
        return ask_members(s, m, err);
    case SCOUT_GROUP:
        return ask_group(s, m, err);
    case SCOUT_FILE:
        read_file(s, m);
        return true;
    case SCOUT_SCHEMA:
        return ask_schema(s, m, err);
    case SCOUT_HISTORY:
        return ask_history(s, m, err);
    case SCOUT_CONFIG:
        configure(s, m->cfg);
        return true;
    case SCOUT_PING:
        ok = lookup_ping(s->client, ASK_TIMEOUT, err);
        break;
    case SCOUT_REACHABLE:
    case SCOUT_AWAY:
    case SCOUT_REFUSED:
    case SCOUT_ADMITTED:
    case SCOUT_UNTRIMMED:
        break;
    }
    report_brokers(s, ok, err);
    return ok;
}

static bool is_stopped(const struct scout *s)
{
    struct pollfd fd = {.fd = s->stop_fd, .events = POLLIN};

    return poll(&fd, 1, 0) != 0;
}

/* Waits until a question comes, a pause is over, or the stop. */
static void wait_until(struct scout *s, usec_t deadline, bool questions)
{
    struct pollfd fds[2] = {
        {.fd = s->stop_fd, .events = POLLIN},
        {.fd = questions ? s->questions.fd : -1, .events = POLLIN},
    };

    poll(fds, ARRAY_LEN(fds), clock_poll_ms(clock_mono(), deadline));
}

/* Before main asks again. What may fail for a single partition is paced by main, and what a
 * reload needs is asked for once: meanwhile the scout has other questions. */
static bool needs_pause(const struct scout_mail *m)
{
    bool is_paced = m->kind == SCOUT_VERIFY || m->kind == SCOUT_FIRST_USE ||
                    m->kind == SCOUT_SEEKS || m->kind == SCOUT_HEARTBEAT ||
                    m->kind == SCOUT_FAREWELL || m->kind == SCOUT_SCHEMA ||
                    m->kind == SCOUT_HISTORY;

    return !is_paced && (m->failed || is_partial(m));
}

/* What a person must fix is not tried often. */
static usec_t pause_after(struct scout *s, const struct scout_mail *m)
{
    return m->failed && m->error.class == ERROR_SETUP
               ? failpoint_time(FAILTIME_REFUSED_PAUSE, backoff_longest(&s->backoff))
               : backoff_next(&s->backoff);
}

static void handle(struct scout *s, struct scout_mail *m)
{
    struct error err = {0};
    bool was_slow = m->is_slow;

    m->failed = !answer(s, m, &err);
    if (m->is_slow && !was_slow) {
        add_slow(s, m);
        return;
    }
    if (m->failed) {
        m->error = err;
    }
    if (needs_pause(m)) {
        wait_until(s, clock_mono() + pause_after(s, m), false);
    } else {
        backoff_reset(&s->backoff);
    }
    mailbox_post(s->answers, &m->mail);
}

/* A database that is away has been reported, or will be by a worker. */
static void trim(struct scout *s)
{
    struct error err;

    if (clock_mono() < trimmer_deadline(&s->trimmer)) {
        return;
    }
    if (!has_session(s, s->conn, &err)) {
        trimmer_put_off(&s->trimmer, clock_mono());
        return;
    }
    bool ok = trimmer_turn(&s->trimmer, s->conn, &err);
    if (trimmer_is_news(&s->trimmer, ok, &err)) {
        report(s, SCOUT_UNTRIMMED, &err);
    }
}

static void run(void *arg)
{
    struct scout *s = arg;

    verifier_prepare(&s->verifier);
    while (!is_stopped(s)) {
        struct mail *m = mailbox_take(&s->questions);
        while (m != NULL) {
            struct scout_mail *q = (struct scout_mail *) m;
            m = m->next;
            if (is_stopped(s)) {
                scout_mail_free(q);
            } else if (q->is_slow) {
                add_slow(s, q);
            } else {
                handle(s, q);
            }
        }
        trim(s);
        struct scout_mail *slow = is_stopped(s) ? NULL : take_slow(s);
        if (slow != NULL) {
            handle(s, slow);
            continue;
        }
        conn_close(s->conn);
        conn_close(s->replay_conn);
        wait_until(s, MIN(verifier_deadline(&s->verifier), trimmer_deadline(&s->trimmer)), true);
        verifier_turn(&s->verifier, clock_mono());
    }
}

struct scout *scout_start(const struct config *cfg, struct client *client, struct mailbox *answers,
                          const char *owner)
{
    struct scout *s = mem_zalloc(sizeof *s);
    char name[96];

    snprintf(name, sizeof name, "pgsinkd %s scout", cfg->sink);
    struct conn_settings settings = settings_of(cfg);
    struct conn_settings replay_settings = replay_settings_of(cfg);
    settings.application_name = replay_settings.application_name = name;
    s->cfg = cfg;
    s->owner = owner;
    s->client = client;
    s->verifier = (struct verifier){.cfg = cfg, .client = client};
    s->trimmer = trimmer_of(cfg);
    s->answers = answers;
    s->conn = conn_new(&settings);
    s->replay_conn = conn_new(&replay_settings);
    mailbox_init(&s->questions);
    s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->stop_fd < 0) {
        abort();
    }
    backoff_init(&s->backoff, 100 * USEC_PER_MSEC, 5 * USEC_PER_SEC, clock_mono());
    thread_start(&s->thread, "scout", run, s);
    return s;
}

void scout_ask(struct scout *s, struct scout_mail *m)
{
    mailbox_post(&s->questions, &m->mail);
}

bool scout_stop(struct scout *s, usec_t timeout)
{
    uint64_t one = 1;

    if (write(s->stop_fd, &one, sizeof one) < 0) {
        abort();
    }
    if (!thread_join_until(&s->thread, timeout)) {
        return false;
    }
    struct scout_mail *slow;
    while ((slow = take_slow(s)) != NULL) {
        scout_mail_free(slow);
    }
    struct mail *m = mailbox_take(&s->questions);
    while (m != NULL) {
        struct scout_mail *q = (struct scout_mail *) m;
        m = m->next;
        scout_mail_free(q);
    }
    mailbox_done(&s->questions);
    verifier_done(&s->verifier);
    conn_free(s->conn);
    conn_free(s->replay_conn);
    close(s->stop_fd);
    free(s);
    return true;
}
