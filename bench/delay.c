/*
 * delay: a TCP proxy that lets every byte through a fixed time after it came, in both directions,
 * however many there are: a far server behind a wide line. What a real line also has, a window that
 * must grow, loss, a handshake that takes a round trip, is not here.
 *
 *     delay PORT ROUND_TRIP_MS
 *
 * Connects to PORT of this machine for each connection to its own port, which it prints as one
 * line. Ends when it is killed. Not installed.
 */
#include "tool.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC UINT64_C(1000000000)
#define NEVER UINT64_MAX
#define CHUNK_BYTES ((size_t) 120 << 10)
#define QUEUE_BYTES ((size_t) 512 << 20) /* more than any line holds; then reading pauses */
#define LINKS_MAX 64

/* What one read brought. Empty = the end of the stream. */
struct chunk {
    struct chunk *next;
    uint64_t due_nsec;
    size_t begin;
    size_t end;
    char bytes[CHUNK_BYTES];
};

/* One direction of a connection. */
struct way {
    int from;
    int to;
    struct chunk *head;
    struct chunk *tail;
    size_t bytes;  /* in the queue */
    bool read_all; /* the end of the stream has been read */
    bool sent_all; /* ... and handed on */
};

struct link {
    struct way ways[2]; /* up, down */
    bool open;
};

static uint64_t delay_nsec; /* of one direction */
static struct link links[LINKS_MAX];

static uint64_t now_nsec(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * NSEC_PER_SEC + (uint64_t) t.tv_nsec;
}

static struct sockaddr_in local(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

/* ---- one direction ---- */

static void put(struct way *w, struct chunk *c)
{
    if (w->tail != NULL) {
        w->tail->next = c;
    } else {
        w->head = c;
    }
    w->tail = c;
    w->bytes += c->end;
}

static void drop_head(struct way *w)
{
    struct chunk *c = w->head;

    w->head = c->next;
    if (w->head == NULL) {
        w->tail = NULL;
    }
    w->bytes -= c->end;
    free(c);
}

static bool failed(ssize_t n)
{
    return n < 0 && errno != EAGAIN && errno != EINTR;
}

/* False when the connection is broken. */
static bool take_in(struct way *w)
{
    struct chunk *c = mem_alloc(sizeof *c);
    ssize_t n = recv(w->from, c->bytes, sizeof c->bytes, 0);

    if (n < 0) {
        free(c);
        return !failed(n);
    }
    c->next = NULL;
    c->due_nsec = now_nsec() + delay_nsec;
    c->begin = 0;
    c->end = (size_t) n;
    w->read_all = n == 0;
    put(w, c);
    return true;
}

/* Sends what is due, as far as the socket takes it. False when the connection is broken. */
static bool send_due(struct way *w, uint64_t now)
{
    while (w->head != NULL && w->head->due_nsec <= now) {
        struct chunk *c = w->head;
        if (c->end == 0) {
            shutdown(w->to, SHUT_WR);
            w->sent_all = true;
        } else {
            ssize_t n = send(w->to, c->bytes + c->begin, c->end - c->begin, MSG_NOSIGNAL);
            if (n < 0) {
                return !failed(n);
            }
            c->begin += (size_t) n;
            if (c->begin < c->end) {
                return true;
            }
        }
        drop_head(w);
    }
    return true;
}

/* ---- one connection ---- */

static void close_link(struct link *l)
{
    for (size_t i = 0; i < 2; i++) {
        while (l->ways[i].head != NULL) {
            drop_head(&l->ways[i]);
        }
        close(l->ways[i].from);
    }
    l->open = false;
}

static void set_up(int fd)
{
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
}

static void open_link(int listener, uint16_t port)
{
    struct sockaddr_in target = local(port);
    int client = accept(listener, NULL, NULL);
    int server = socket(AF_INET, SOCK_STREAM, 0);
    struct link *l = links;

    while (l < links + LINKS_MAX && l->open) {
        l++;
    }
    if (client < 0 || server < 0 || l == links + LINKS_MAX ||
        connect(server, (struct sockaddr *) &target, sizeof target) != 0) {
        die("a connection cannot be led on: %s", strerror(errno));
    }
    set_up(client);
    set_up(server);
    *l = (struct link){
        .ways = {{.from = client, .to = server}, {.from = server, .to = client}},
        .open = true,
    };
}

/* ---- all of them ---- */

static uint64_t next_due(uint64_t now)
{
    uint64_t due = NEVER;

    for (size_t i = 0; i < LINKS_MAX; i++) {
        for (size_t k = 0; links[i].open && k < 2; k++) {
            const struct chunk *c = links[i].ways[k].head;
            if (c != NULL && c->due_nsec > now && c->due_nsec < due) {
                due = c->due_nsec;
            }
        }
    }
    return due;
}

/* places[0] is the listener, then come two for each link: way k reads at the k-th, sends at the
 * other. */
static void ask(struct pollfd *places, uint64_t now)
{
    for (size_t i = 0; i < LINKS_MAX; i++) {
        struct pollfd *pair = places + 1 + 2 * i;
        pair[0] = pair[1] = (struct pollfd){.fd = -1};
        for (size_t k = 0; links[i].open && k < 2; k++) {
            const struct way *w = &links[i].ways[k];
            bool due = w->head != NULL && w->head->due_nsec <= now;
            pair[k].events |= !w->read_all && w->bytes < QUEUE_BYTES ? POLLIN : 0;
            pair[1 - k].events |= due ? POLLOUT : 0;
        }
        for (size_t k = 0; links[i].open && k < 2; k++) {
            pair[k].fd = pair[k].events != 0 ? links[i].ways[k].from : -1;
        }
    }
}

static void serve(struct link *l, const struct pollfd *pair)
{
    for (size_t k = 0; k < 2; k++) {
        struct way *w = &l->ways[k];
        bool reads = !w->read_all && (pair[k].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
        if ((reads && !take_in(w)) || !send_due(w, now_nsec())) {
            close_link(l);
            return;
        }
    }
    if (l->ways[0].sent_all && l->ways[1].sent_all) {
        close_link(l);
    }
}

static void turn(struct pollfd *places, uint16_t port)
{
    uint64_t now = now_nsec();
    uint64_t due = next_due(now);
    uint64_t wait = due == NEVER ? 0 : due - now;
    struct timespec timeout = {(time_t) (wait / NSEC_PER_SEC), (long) (wait % NSEC_PER_SEC)};

    ask(places, now);
    if (ppoll(places, 1 + 2 * LINKS_MAX, due == NEVER ? NULL : &timeout, NULL) < 0) {
        die("poll: %s", strerror(errno));
    }
    for (size_t i = 0; i < LINKS_MAX; i++) {
        if (links[i].open) {
            serve(&links[i], places + 1 + 2 * i);
        }
    }
    if (places[0].revents != 0) {
        open_link(places[0].fd, port);
    }
}

static int listen_anywhere(void)
{
    struct sockaddr_in at = local(0);
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *) &at, sizeof at) != 0 || listen(fd, 16) != 0 ||
        getsockname(fd, (struct sockaddr *) &at, &size) != 0) {
        die("no port to listen on: %s", strerror(errno));
    }
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: delay PORT ROUND_TRIP_MS\n");
        return 2;
    }
    static struct pollfd places[1 + 2 * LINKS_MAX];
    uint16_t port = (uint16_t) number_of(argv[1], 1, UINT16_MAX);
    delay_nsec = number_of(argv[2], 0, 10000) * NSEC_PER_SEC / 1000 / 2;
    places[0] = (struct pollfd){.fd = listen_anywhere(), .events = POLLIN};
    for (;;) {
        turn(places, port);
    }
}
