/*
 * Running the command, see token_source.h. The library asks for a token by a callback, and this is
 * the one of ours that may wait: it is served by a thread that the library has for that alone, and
 * only if it was asked to (rd_kafka_sasl_background_callbacks_enable).
 */
#include "kafka/token_source.h"

#include "base/mem.h"
#include "kafka/librdkafka.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT (30 * USEC_PER_SEC)
#define PRINTED_MOST ((size_t) 64 << 10)
#define COMPLAINT_MOST ((size_t) 8 << 10)
#define WORDS_MOST 64
/* How soon an end is noticed. */
#define LOOK_MS 100

struct run {
    pid_t pid;
    int pid_fd;
    int out_fd;
    int err_fd;
    bool has_ended;
    struct buf printed;
    struct buf complaint;
};

/* ---- the program ---- */

/* The words of the command, which is cut into them. */
static void split(char *command, char *words[WORDS_MOST + 1])
{
    size_t n = 0;
    char *rest = command;

    for (char *word; (word = strsep(&rest, " \t\n")) != NULL && n < WORDS_MOST;) {
        if (*word != '\0') {
            words[n++] = word;
        }
    }
    words[n] = NULL;
}

static int spawn(char **words, int out, int complaint, pid_t *out_pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none;
    sigset_t all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&how);
    /* Ours are all blocked in this thread, and some are ignored. */
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                       POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawn_file_actions_adddup2(&files, complaint, 2);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    int code = posix_spawn(out_pid, words[0], &files, &how, words, environ);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return code;
}

static bool open_pipes(int out[2], int complaint[2])
{
    if (pipe2(out, O_CLOEXEC) < 0) {
        return false;
    }
    if (pipe2(complaint, O_CLOEXEC) < 0) {
        close(out[0]);
        close(out[1]);
        return false;
    }
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(complaint[0], F_SETFL, O_NONBLOCK);
    return true;
}

/* Its status; -1: nobody knows, for whoever started us has SIGCHLD ignored. */
static int wait_for(pid_t pid, bool kills)
{
    int status = -1;

    if (kills) {
        kill(-pid, SIGKILL); /* with whatever it has started */
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

static bool start(struct run *r, char **words, struct error *err)
{
    int out[2];
    int complaint[2];

    if (!open_pipes(out, complaint)) {
        return error_set(err, ERROR_SETUP, "no pipe for it: %s", strerror(errno));
    }
    int code = spawn(words, out[1], complaint[1], &r->pid);
    close(out[1]);
    close(complaint[1]);
    r->out_fd = out[0];
    r->err_fd = complaint[0];
    r->pid_fd = code == 0 ? pidfd_open(r->pid, 0) : -1;
    if (r->pid_fd >= 0) {
        return true;
    }
    close(out[0]);
    close(complaint[0]);
    if (code != 0) {
        return error_set(err, ERROR_SETUP, "it cannot be executed: %s", strerror(code));
    }
    code = errno;
    (void) wait_for(r->pid, true);
    return error_set(err, ERROR_SETUP, "its end cannot be waited for: %s", strerror(code));
}

/* ---- while it runs ---- */

/* What is there; -1 becomes of the descriptor at its end. Returns false when it is too much. */
static bool drain(int *fd, struct buf *into, size_t most)
{
    char bytes[4096];
    ssize_t n;

    while (*fd >= 0 && (n = read(*fd, bytes, sizeof bytes)) != 0) {
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return true;
        }
        buf_add(into, bytes, (size_t) n);
        if (into->n > most) {
            return false;
        }
    }
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    return true;
}

/* Of what it complains about the end is kept. */
static void drain_complaint(struct run *r)
{
    while (!drain(&r->err_fd, &r->complaint, COMPLAINT_MOST)) {
        size_t keep = COMPLAINT_MOST / 2;
        memmove(r->complaint.p, r->complaint.p + r->complaint.n - keep, keep);
        r->complaint.n = keep;
    }
}

static bool look(struct run *r, usec_t deadline, const _Atomic bool *ending, struct error *err)
{
    struct pollfd fds[] = {{.fd = r->pid_fd, .events = POLLIN},
                           {.fd = r->out_fd, .events = POLLIN},
                           {.fd = r->err_fd, .events = POLLIN}};
    int wait_ms = MIN(clock_poll_ms(clock_mono(), deadline), LOOK_MS);

    if (poll(fds, ARRAY_LEN(fds), wait_ms) < 0 && errno != EINTR) {
        abort();
    }
    r->has_ended = fds[0].revents != 0;
    drain_complaint(r);
    if (!drain(&r->out_fd, &r->printed, PRINTED_MOST)) {
        return error_set(err, ERROR_SETUP, "it has printed more than %zu KiB", PRINTED_MOST >> 10);
    }
    if (ending != NULL && atomic_load_explicit(ending, memory_order_relaxed)) {
        return error_set(err, ERROR_AGAIN, "stopping");
    }
    return r->has_ended || clock_mono() < deadline ||
           error_set(err, ERROR_SETUP, "it has not ended within %llu s",
                     (unsigned long long) (TIMEOUT / USEC_PER_SEC));
}

static bool judge(const struct run *r, int status, struct error *err)
{
    char line[200];

    if (status < 0) {
        return error_set(err, ERROR_SETUP, "its exit status is not known");
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return true;
    }
    token_last_line(buf_str(&r->complaint), line, sizeof line);
    const char *sep = line[0] != '\0' ? ": " : ", and has said nothing on standard error";
    return WIFSIGNALED(status) ? error_set(err, ERROR_SETUP, "it was ended by signal %d%s%s",
                                           WTERMSIG(status), sep, line)
                               : error_set(err, ERROR_SETUP, "it ended with exit status %d%s%s",
                                           WEXITSTATUS(status), sep, line);
}

/* What has been printed is as good as a password. */
static void finish(struct run *r)
{
    if (r->out_fd >= 0) {
        close(r->out_fd);
    }
    if (r->err_fd >= 0) {
        close(r->err_fd);
    }
    close(r->pid_fd);
    if (r->printed.n > 0) {
        explicit_bzero(r->printed.p, r->printed.n);
    }
    buf_done(&r->printed);
    buf_done(&r->complaint);
}

static bool watch(struct run *r, usec_t timeout, const _Atomic bool *ending, struct error *err)
{
    usec_t deadline = clock_mono() + timeout;
    bool ok = true;

    while (ok && !r->has_ended) {
        ok = look(r, deadline, ending, err);
    }
    int status = wait_for(r->pid, !ok);
    return ok && judge(r, status, err);
}

bool token_source_run(const char *command, usec_t timeout, const _Atomic bool *ending,
                      struct token *out, struct error *err)
{
    _cleanup_mem_ char *copy = mem_strdup(command);
    char *words[WORDS_MOST + 1];
    struct run r = {0};

    split(copy, words);
    assert(words[0] != NULL); /* config wants a path */
    bool ok = start(&r, words, err);
    if (ok) {
        ok = watch(&r, timeout, ending, err) &&
             token_read(buf_str(&r.printed), clock_wall_ms(), out, err);
        finish(&r);
    }
    if (!ok) {
        error_wrap(err, "'%s'", words[0]);
    }
    return ok;
}

/* ---- the library ---- */

static bool has_command(const struct config *cfg)
{
    return cfg->kafka.oauth_token_command[0] != '\0';
}

/* command: sasl.oauthbearer.config, which is free for what the one who answers needs. */
static void answer(rd_kafka_t *rk, const char *command, const _Atomic bool *ending)
{
    struct token token;
    struct error err;
    char text[256];

    if (!token_source_run(command, TIMEOUT, ending, &token, &err)) {
        (void) rd_kafka_oauthbearer_set_token_failure(rk, err.text);
        return;
    }
    if (rd_kafka_oauthbearer_set_token(rk, token.text, token.expires_ms, token.principal, NULL, 0,
                                       text, sizeof text) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        (void) rd_kafka_oauthbearer_set_token_failure(rk, text);
    }
    explicit_bzero(token.text, strlen(token.text));
    token_done(&token);
}

static void on_refresh(rd_kafka_t *rk, const char *command, void *arg)
{
    const struct client *c = arg;

    answer(rk, command, c != NULL ? &c->ending : NULL);
}

static void on_refresh_of_reader(rd_kafka_t *rk, const char *command, void *arg)
{
    answer(rk, command, arg);
}

void token_source_use(rd_kafka_conf_t *conf, const struct config *cfg)
{
    char text[256];

    if (has_command(cfg)) {
        (void) rd_kafka_conf_set(conf, "sasl.oauthbearer.config", cfg->kafka.oauth_token_command,
                                 text, sizeof text);
        rd_kafka_conf_enable_sasl_queue(conf, 1);
        rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_refresh);
    }
}

void token_source_use_in_reader(rd_kafka_conf_t *conf, const struct config *cfg,
                                _Atomic bool *ending)
{
    if (has_command(cfg)) {
        rd_kafka_conf_set_opaque(conf, ending);
        rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_refresh_of_reader);
    }
}

void token_source_start(rd_kafka_t *rk, const struct config *cfg)
{
    if (has_command(cfg)) {
        rd_kafka_error_t *error = rd_kafka_sasl_background_callbacks_enable(rk);
        if (error != NULL) {
            abort(); /* token_source_check has seen that the mechanism is the right one */
        }
    }
}

bool token_source_try(const struct config *cfg, int64_t *out_seconds, struct error *err)
{
    struct token token;

    if (!token_source_run(cfg->kafka.oauth_token_command, TIMEOUT, NULL, &token, err)) {
        error_wrap(err, "no token for SASL OAUTHBEARER");
        return error_hint(err, TOKEN_HINT);
    }
    *out_seconds = (token.expires_ms - clock_wall_ms()) / 1000;
    explicit_bzero(token.text, strlen(token.text));
    token_done(&token);
    return true;
}
