/*
 * A line as a datagram to journald in its native protocol
 * (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/): the fields are what makes `journalctl TOPIC=orders
 * PARTITION=3` and `journalctl MESSAGE_ID=...` possible. The protocol is written here and not
 * asked of libsystemd, because the log is below every room that may include a library, because
 * builds without libsystemd run under journald too, and because it is this file. A datagram has
 * LOG_OUT_MAX bytes at most, so the memory files that larger ones need are not.
 * Any thread: a datagram is sent by one call.
 */
#include "base/log_line.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * MESSAGE_ID of PGS-412 is this with 0412 behind it: one for each kind of line, the same in all
 * versions (docs/log.md). The digits are random, and never change.
 */
#define MESSAGE_NAMESPACE "1cdb363d091241e0895a075deaa0"

/* What each text may take, as in log_json.c. The hint is sent twice. */
enum {
    FIELD_SHORT_MAX = 128,
    FIELD_TOPIC_MAX = 300,
    FIELD_TEXT_MAX = 1700,
    FIELD_HINT_MAX = 600,
    FIELD_REST_MAX = 400, /* names of fields, numbers */
};
_Static_assert(3 * FIELD_SHORT_MAX + FIELD_TOPIC_MAX + FIELD_TEXT_MAX + 2 * FIELD_HINT_MAX +
                       FIELD_REST_MAX <
                   LOG_OUT_MAX,
               "no field is cut in the middle");

/* What journalctl shows as it is, without line feeds: a text cannot forge a field, nor a hint. */
static void put_char(struct log_out *o, const char *c, size_t n)
{
    unsigned char byte = (unsigned char) *c;

    if (n == 0) {
        log_out_printf(o, "\xEF\xBF\xBD");
    } else if (byte == '\n' || byte == '\t') {
        log_out_printf(o, " ");
    } else if (byte < 0x20 || byte == 0x7F) {
        log_out_printf(o, "\\x%02x", byte);
    } else {
        log_out_bytes(o, c, n);
    }
}

static void add_text(struct log_out *o, const char *field, const char *text, size_t max)
{
    if (text == NULL || text[0] == '\0') {
        return;
    }
    log_out_printf(o, "%s=", field);
    log_out_text(o, text, max, put_char);
    log_out_printf(o, "\n");
}

/* A field of more than one line: name, line feed, length (64 bits, little endian), bytes, line
 * feed. The length is known when the bytes are there. */
static void add_message(struct log_out *o, const struct log_line *l)
{
    uint8_t length[sizeof(uint64_t)];

    log_out_printf(o, "MESSAGE\n");
    size_t length_at = o->n;
    memset(length, 0, sizeof length);
    log_out_bytes(o, (const char *) length, sizeof length);
    size_t start = o->n;
    log_out_text(o, l->text, FIELD_TEXT_MAX, put_char);
    if (l->hint[0] != '\0') {
        log_out_printf(o, "\nHINT: ");
        log_out_text(o, l->hint, FIELD_HINT_MAX, put_char);
        log_out_printf(o, " (PGS-%u)", l->entry->number);
    }
    for (size_t i = 0; i < sizeof length; i++) {
        length[i] = (uint8_t) ((uint64_t) (o->n - start) >> (8 * i));
    }
    memcpy(o->text + length_at, length, sizeof length);
    log_out_printf(o, "\n");
}

static void add_where(struct log_out *o, const struct log_where *at)
{
    add_text(o, "TOPIC", at->topic, FIELD_TOPIC_MAX);
    if (at->topic != NULL && at->partition >= 0) {
        log_out_printf(o, "PARTITION=%d\n", at->partition);
    }
    if (at->topic != NULL && at->offset >= 0) {
        log_out_printf(o, "OFFSET=%lld\n", (long long) at->offset);
    }
    add_text(o, "SQLSTATE", at->sqlstate, FIELD_SHORT_MAX);
}

static void datagram(const struct log_line *l, struct log_out *o)
{
    o->n = 0;
    add_message(o, l);
    log_out_printf(o, "PRIORITY=%d\nSYSLOG_IDENTIFIER=pgsinkd\n", l->priority);
    log_out_printf(o, "MESSAGE_ID=" MESSAGE_NAMESPACE "%04u\n", l->entry->number);
    log_out_printf(o, "PGSINKD_EVENT=PGS-%u\nPGSINKD_EVENT_NAME=%s\n", l->entry->number,
                   l->entry->name);
    add_text(o, "THREAD", l->thread, FIELD_SHORT_MAX);
    add_text(o, "SINK", l->sink, FIELD_SHORT_MAX);
    add_where(o, &l->at);
    add_text(o, "HINT", l->hint, FIELD_HINT_MAX);
}

int log_journal_open(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_usec = LOG_PATIENCE};

    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The address is looked up for each line: journald may have been started again. */
enum log_sent log_journal_send(int fd, const char *path, const struct log_line *l, bool waits)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct log_out o;
    ssize_t n;

    assert(strlen(path) < sizeof to.sun_path);
    memcpy(to.sun_path, path, strlen(path));
    datagram(l, &o);
    do {
        n = sendto(fd, o.text, o.n, MSG_NOSIGNAL | (waits ? 0 : MSG_DONTWAIT),
                   (const struct sockaddr *) &to, sizeof to);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        return LOG_SENT;
    }
    return errno == EAGAIN ? LOG_FULL : LOG_NOBODY;
}
