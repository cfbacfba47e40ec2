/*
 * demo_broker: a Kafka cluster of one broker inside this process, for tools/quickstart and for
 * trying things.
 *
 *     demo_broker TOPIC:PARTITIONS...
 *
 * Prints `host:port` on stdout as soon as it can be used, and serves on the loopback until SIGTERM,
 * SIGINT or SIGHUP, or until a pipe on its standard input is closed (so that it does not outlive
 * the script that started it).
 *
 * It is librdkafka's mock cluster: all in memory, no TLS, no transactions, and the oldest records
 * of a partition are dropped beyond 5 MB or 100,000 batches. That interface is experimental, so
 * this is the only file that uses it. Not installed.
 */
#include <librdkafka/rdkafka.h>

#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { PARTITIONS_MAX = 10000 };

static bool create_topic(rd_kafka_mock_cluster_t *cluster, const char *word)
{
    const char *colon = strchr(word, ':');
    size_t length = colon == NULL ? 0 : (size_t) (colon - word);
    char name[250] = "";
    char *end = NULL;
    long partitions = colon == NULL ? 0 : strtol(colon + 1, &end, 10);

    if (length == 0 || length >= sizeof name || *end != '\0' || partitions < 1 ||
        partitions > PARTITIONS_MAX) {
        fprintf(stderr, "demo_broker: '%s' is not TOPIC:PARTITIONS\n", word);
        return false;
    }
    memcpy(name, word, length);
    rd_kafka_resp_err_t code = rd_kafka_mock_topic_create(cluster, name, (int) partitions, 1);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fprintf(stderr, "demo_broker: topic %s: %s\n", name, rd_kafka_err2str(code));
        return false;
    }
    return true;
}

static bool create_topics(rd_kafka_mock_cluster_t *cluster, int count, char **words)
{
    for (int i = 0; i < count; i++) {
        if (!create_topic(cluster, words[i])) {
            return false;
        }
    }
    return true;
}

/* The cluster lives in a client, which has no servers of its own: silence it, or it complains about
 * that. */
static rd_kafka_t *make_host(void)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set_log_cb(conf, NULL);
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof text);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (rk == NULL) {
        fprintf(stderr, "demo_broker: %s\n", text);
        exit(1);
    }
    return rk;
}

static int open_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* No events are asked of stdin: a closed pipe reports itself, /dev/null and a terminal stay silent.
 */
static void wait_for_end(int signal_fd)
{
    struct pollfd fds[] = {
        {.fd = signal_fd, .events = POLLIN},
        {.fd = STDIN_FILENO, .events = 0},
    };

    while (poll(fds, 2, -1) < 0) {
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: demo_broker TOPIC:PARTITIONS...\n");
        return 2;
    }
    int signal_fd = open_signals(); /* before the library starts its threads */
    rd_kafka_t *rk = make_host();
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(rk, 1);
    bool ok = create_topics(cluster, argc - 1, argv + 1);
    if (ok) {
        printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
        fflush(stdout);
        wait_for_end(signal_fd);
    }
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(rk);
    return ok ? 0 : 1;
}
