/* See reasons.h. */
#include "kafka/reasons.h"

#include "base/buf.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "base/redact.h"
#include "base/str.h"
#include "kafka/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A broker that starts refuses connections for a while; other reasons last from the first time. */
#define REFUSED_PATIENCE (3 * USEC_PER_SEC)
#define PATIENCE USEC_PER_SEC
/* The library reports a reason that lasts twice a minute: one that is older than this does not. */
#define REASON_AGE (120 * USEC_PER_SEC)
/* Where others answer, nobody waits for the answer to this question: a restart has its time. */
#define MISSING_PATIENCE (10 * USEC_PER_SEC)
#define MISSING_REFUSED_PATIENCE (30 * USEC_PER_SEC)
/* A connection is tried every 12 s at least, and the same error reported every 30 s. */
#define OVER_AFTER (60 * USEC_PER_SEC)
/* The library asks for a token every 10 s until there is one, which may take the program 30 s. */
#define TOKEN_AGE (60 * USEC_PER_SEC)
/* As delay_repeat() of sink/shared/delays.h. */
#define REPEAT (600 * USEC_PER_SEC)

/* How a reason is recognised, the first that fits: `has` and `also` (NULL: anything) are in the
 * library's text. `say`: what is shown instead, where that is clearer; NULL: the text itself. */
struct meaning {
    enum reason_kind kind;
    const char *has;
    const char *also;
    const char *say;
    const char *hint;
};

static const struct meaning MEANINGS[] = {
    {REASON_MECHANISM, "Unsupported SASL mechanism", NULL, NULL,
     "Set sasl.mechanism in kafka.properties to one that the broker has."},
    {REASON_NO_SASL, "not valid in current SASL state", NULL,
     "it knows no login (not a SASL listener)",
     "Set security.protocol to PLAINTEXT or SSL in kafka.properties, or use the port of a SASL "
     "listener in kafka.brokers."},
    {REASON_SASL_LISTENER, "broker might require SASL", NULL,
     "it ends the connection because there was no login (a SASL listener?)",
     "Set security.protocol to SASL_SSL or SASL_PLAINTEXT in kafka.properties, and sasl.mechanism, "
     "sasl.username and sasl.password."},
    {REASON_LOGIN, "SASL ", NULL, NULL,
     "Check sasl.username and sasl.password in kafka.properties, and that Kafka has this user for "
     "this sasl.mechanism."},
    {REASON_TLS_LISTENER, "SSL listener?", NULL,
     "it ends the connection at the first request (a TLS listener?)",
     "Set security.protocol to SSL in kafka.properties, or to SASL_SSL where there is a login; or "
     "use the port of a listener without TLS in kafka.brokers."},
    {REASON_OWN_CERTIFICATE, "SSL alert", NULL, NULL,
     "The broker wants a client certificate, and has got none or not a valid one: set "
     "ssl.certificate.location and ssl.key.location in kafka.properties, signed by a CA that the "
     "broker knows."},
    {REASON_OWN_CERTIFICATE, "client SSL authentication might be required", NULL, NULL, NULL},
    {REASON_CERTIFICATE, "certificate verify failed", NULL,
     "SSL handshake failed: its certificate cannot be verified",
     "Set ssl.ca.location in kafka.properties to the CA that has signed it. The certificate must "
     "also name the host as kafka.brokers does, and not have expired: openssl s_client -connect "
     "HOST:PORT -CAfile FILE shows it."},
    {REASON_NO_TLS, "SSL handshake failed", "unexpected eof",
     "SSL handshake failed: it ends the connection (a listener without TLS?)",
     "Set security.protocol to PLAINTEXT in kafka.properties, or to SASL_PLAINTEXT where there is "
     "a login; or use the port of a TLS listener in kafka.brokers."},
    {REASON_NO_TLS, "SSL handshake failed", "wrong version number",
     "SSL handshake failed: it does not answer by TLS (a listener without TLS?)", NULL},
    /* The same, where the end comes before the library has begun to wait for the handshake. */
    {REASON_NO_TLS, "SSL routines::unexpected eof", "in state CONNECT",
     "SSL handshake failed: it ends the connection (a listener without TLS?)", NULL},
    {REASON_NO_TLS, "SSL routines::wrong version number", "in state CONNECT",
     "SSL handshake failed: it does not answer by TLS (a listener without TLS?)", NULL},
    {REASON_NO_TLS, "PLAINTEXT broker listener?", NULL,
     "SSL handshake failed: it ends the connection (a listener without TLS?)", NULL},
    {REASON_RESOLVE, "Failed to resolve", NULL, NULL,
     "Check the host names in kafka.brokers, and DNS. A name that is not there comes from a "
     "broker's advertised.listeners."},
    {REASON_REFUSED, "Connection refused", NULL, NULL,
     "Is Kafka running there, and is this the port of its listener? Check kafka.brokers."},
    {REASON_OTHER, "", NULL, NULL, "Check kafka.brokers and kafka.properties (TLS, SASL)."},
};

void reasons_init(struct reasons *r)
{
    *r = (struct reasons){.library = ""};
}

void reasons_done(struct reasons *r)
{
    for (size_t i = 0; i < r->secret_count; i++) {
        free(r->secrets[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(r->plain); i++) {
        free(r->plain[i]);
    }
}

void reasons_hide(struct reasons *r, const char *secret)
{
    if (secret == NULL) {
        return;
    }
    for (size_t i = 0; i < r->secret_count; i++) {
        if (strcmp(r->secrets[i], secret) == 0) {
            return;
        }
    }
    /* Reloads may bring any number: the last one gives way. */
    if (r->secret_count == ARRAY_LEN(r->secrets)) {
        free(r->secrets[--r->secret_count]);
    }
    r->secrets[r->secret_count++] = mem_strdup(secret);
}

void reasons_show(struct reasons *r, const char *plain)
{
    size_t i = 0;

    while (i < ARRAY_LEN(r->plain) && r->plain[i] != NULL) {
        i++;
    }
    if (plain != NULL && i < ARRAY_LEN(r->plain)) {
        r->plain[i] = mem_strdup(plain);
    }
}

/* ---- the library's text ---- */

static const char *after(const char *text, const char *word)
{
    const char *found = strstr(text, word);

    return found != NULL ? found + strlen(word) : NULL;
}

/* "/bootstrap", or "/3" */
static bool is_number_of_broker(const char *p, const char *end)
{
    if ((size_t) (end - p) == strlen("bootstrap") && strncmp(p, "bootstrap", 9) == 0) {
        return true;
    }
    while (p < end && *p >= '0' && *p <= '9') {
        p++;
    }
    return p == end;
}

/*
 * "ssl://kafka1:9093/bootstrap: ..." -> "kafka1:9093", and what follows. Also the group's
 * coordinator: "GroupCoordinator: kafka1:9093: ...". NULL: it does not begin with a broker.
 */
static const char *read_broker(const char *text, char *out, size_t size, bool *out_is_advertised)
{
    const char *coordinator = after(text, "GroupCoordinator: ");
    const char *name = coordinator != NULL ? coordinator : text;
    const char *end = strstr(name, ": ");

    if (end == NULL) {
        return NULL;
    }
    const char *rest = end + 2;
    const char *protocol = after(name, "://");
    if (protocol != NULL && protocol < end) {
        name = protocol;
    }
    const char *slash = memchr(name, '/', (size_t) (end - name));
    const char *colon = memchr(name, ':', (size_t) (end - name));
    bool has_number = slash != NULL && is_number_of_broker(slash + 1, end);
    if (colon == NULL || (!has_number && coordinator == NULL)) {
        return NULL;
    }
    int length = (int) MIN((size_t) ((has_number ? slash : end) - name), size - 1);
    snprintf(out, size, "%.*s", length, name);
    *out_is_advertised = coordinator != NULL || (has_number && slash[1] != 'b');
    return rest;
}

static bool fits(const struct meaning *m, const char *text)
{
    return m->has != NULL && strstr(text, m->has) != NULL &&
           (m->also == NULL || strstr(text, m->also) != NULL);
}

static const struct meaning *meaning_of(const char *text)
{
    const struct meaning *m = MEANINGS;

    while (!fits(m, text)) {
        m++; /* the last fits everything */
    }
    return m;
}

static void cut_at(char *text, const char *word)
{
    char *found = strstr(text, word);

    if (found != NULL) {
        *found = '\0';
    }
}

static void cut_out(char *begin, const char *end)
{
    if (begin != NULL && end != NULL) {
        memmove(begin, end, strlen(end) + 1);
    }
}

/* Takes out where in OpenSSL it comes from: "error:0A000412:SSL routines::", and, if the library
 * debugs anything, before that "../ssl/record/rec_layer_s3.c:1601:ssl3_read_bytes ". */
static void cut_origin(char *text)
{
    char *number = strstr(text, "error:");

    cut_out(number, number != NULL ? after(number, "SSL routines::") : NULL);

    char *file = strstr(text, "../");
    bool is_file = file != NULL && strstr(file, ".c:") != NULL;
    cut_out(file, is_file ? after(file, " ") : NULL);
}

/* Without the library's times, OpenSSL's places, and addresses that the broker's name says. */
static void tidy(const char *rest, char *out, size_t size)
{
    const char *failed = strncmp(rest, "Connect to ", 11) == 0 ? after(rest, " failed: ") : NULL;
    const char *name = strncmp(rest, "Failed to resolve '", 19) == 0 ? after(rest, "': ") : NULL;

    if (name != NULL) {
        snprintf(out, size, "Failed to resolve: %s", name);
    } else {
        snprintf(out, size, "%s", failed != NULL ? failed : rest);
    }
    cut_origin(out);
    cut_at(out, " (after ");
}

/* ---- what is kept ---- */

static struct reason *find(struct reasons *r, const char *broker)
{
    struct reason *oldest = NULL;

    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->items[i].broker, broker) == 0) {
            return &r->items[i];
        }
        if (oldest == NULL || r->items[i].heard < oldest->heard) {
            oldest = &r->items[i];
        }
    }
    struct reason *free_one = r->count < REASONS_MOST ? &r->items[r->count++] : oldest;
    *free_one = (struct reason){.kind = REASON_OTHER, .said = REASON_KINDS};
    snprintf(free_one->broker, sizeof free_one->broker, "%s", broker);
    return free_one;
}

static void write_text(struct reasons *r, struct reason *to, const struct meaning *m,
                       const char *rest)
{
    to->kind = m->kind;
    if (m->kind == REASON_LOGIN && r->scram_fails) {
        to->kind = REASON_SCRAM;
        snprintf(to->text, sizeof to->text,
                 "Authentication failed; librdkafka %s cannot do SCRAM with Kafka 4", r->library);
    } else if (m->say != NULL) {
        snprintf(to->text, sizeof to->text, "%s", m->say);
    } else {
        tidy(rest, to->text, sizeof to->text);
        for (size_t i = 0; i < r->secret_count; i++) {
            redact(to->text, sizeof to->text, r->secrets[i], (const char *const *) r->plain,
                   ARRAY_LEN(r->plain));
        }
    }
}

/* It is not reported any more, or the broker has come up since. One that wants a login lets every
 * connection come up, and ends it then. */
static bool is_over(const struct reason *one, usec_t now)
{
    return now > one->heard + OVER_AFTER ||
           (one->up_at > one->heard && one->kind != REASON_SASL_LISTENER);
}

/*
 * Does the text that comes now say less than the one that is kept? Of attempts that fail for one
 * reason, some end with a text that would fit any ("Disconnected"): what the library notices first
 * depends on the machine's load. The better one is kept as long as it is not too old.
 */
static bool says_less(const struct reason *kept, enum reason_kind kind, bool is_refusal, usec_t now)
{
    if (kind != REASON_OTHER || kept->kind == REASON_OTHER || now > kept->at + REASON_AGE) {
        return false;
    }
    bool is_before_login = kept->kind == REASON_RESOLVE || kept->kind == REASON_REFUSED;
    return !(is_refusal && is_before_login);
}

const struct reason *reasons_note(struct reasons *r, const char *text, bool is_refusal, usec_t now,
                                  bool *out_is_news)
{
    char broker[sizeof r->items[0].broker];
    bool is_advertised = false;
    const char *rest = read_broker(text, broker, sizeof broker, &is_advertised);

    *out_is_news = false;
    if (rest == NULL) {
        return NULL;
    }
    struct reason *to = find(r, broker);
    const struct meaning *m = meaning_of(rest);
    to->is_advertised |= is_advertised;
    to->since = to->since == 0 || is_over(to, now) ? now : to->since;
    to->heard = now; /* it fails, whatever the text says */
    if (says_less(to, m->kind, is_refusal, now)) {
        return to;
    }
    char before[sizeof to->text];
    snprintf(before, sizeof before, "%s", to->text);
    write_text(r, to, m, rest);
    r->changes += strcmp(before, to->text) != 0;
    *out_is_news = is_refusal && (to->said != to->kind || now >= to->say_at);
    if (*out_is_news) {
        to->said = to->kind;
        to->say_at = now + failpoint_time(FAILTIME_REPEAT, REPEAT);
    }
    to->at = now;
    return to;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "'/bin/token': it ended with exit status 3: connection 17 is refused": compared up to the second
 * colon, and without numbers. */
static bool is_same_kind(const char *a, const char *b)
{
    for (int colons = 0; colons < 2; a++, b++) {
        while (is_digit(*a)) {
            a++;
        }
        while (is_digit(*b)) {
            b++;
        }
        if (*a != *b || *a == '\0') {
            return *a == *b;
        }
        colons += a[0] == ':' && a[1] == ' ';
    }
    return true;
}

bool reasons_no_token(struct reasons *r, const char *text, usec_t now)
{
    bool is_news = now >= r->say_token_at || !is_same_kind(r->no_token, text);

    struct error whole;

    r->changes += strcmp(r->no_token, text) != 0;
    error_set(&whole, ERROR_SETUP, "%s", text);
    error_short_text(&whole, r->no_token, sizeof r->no_token);
    r->no_token_at = now;
    if (is_news) {
        r->say_token_at = now + failpoint_time(FAILTIME_REPEAT, REPEAT);
    }
    return is_news;
}

void reasons_all_failed(struct reasons *r, usec_t now)
{
    if (r->failing_since == 0) {
        r->failing_since = now;
    }
}

void reasons_warn(struct reasons *r, const char *text)
{
    r->lacks_protocol |= strstr(text, "`security.protocol` is not configured for SASL") != NULL;
}

void reasons_clear(struct reasons *r)
{
    r->count = 0;
    r->failing_since = 0;
    r->no_token[0] = '\0';
    r->changes++;
}

/* The last that a broker has reported: others are over if they are much older. */
static usec_t newest(const struct reasons *r)
{
    usec_t at = 0;

    for (size_t i = 0; i < r->count; i++) {
        at = MAX(at, r->items[i].heard);
    }
    return at;
}

static bool lacks_token(const struct reasons *r)
{
    return r->no_token[0] != '\0' && r->no_token_at + TOKEN_AGE >= newest(r);
}

bool reasons_are_known(const struct reasons *r)
{
    if (lacks_token(r)) {
        return true;
    }
    for (size_t i = 0; i < r->count; i++) {
        if (r->items[i].kind != REASON_OTHER) {
            return true;
        }
    }
    return false;
}

bool reasons_are_lasting(const struct reasons *r, usec_t now)
{
    usec_t patience = PATIENCE;

    for (size_t i = 0; i < r->count; i++) {
        if (r->items[i].kind == REASON_OTHER) {
            return false;
        }
        if (r->items[i].kind == REASON_REFUSED) {
            patience = REFUSED_PATIENCE;
        }
    }
    return r->count > 0 && r->failing_since != 0 && now - r->failing_since >= patience;
}

void reasons_up(struct reasons *r, size_t i, usec_t at)
{
    r->items[i].up_at = at;
}

static bool is_missing(const struct reason *one, usec_t now)
{
    bool may_restart = one->kind == REASON_REFUSED || one->kind == REASON_OTHER;
    usec_t patience = may_restart ? MISSING_REFUSED_PATIENCE : MISSING_PATIENCE;

    return one->heard - one->since >= patience && !is_over(one, now);
}

/* ---- what is said ---- */

void reasons_hint(const struct reasons *r, enum reason_kind kind, char *out, size_t size)
{
    const struct meaning *m = MEANINGS;

    if (kind == REASON_SCRAM) {
        snprintf(out, size,
                 "librdkafka %s cannot do SCRAM with Kafka 4 (needs 2.6.1). Use PLAIN over TLS, or "
                 "a newer librdkafka (Debian 13 has 2.8). With an older Kafka, check sasl.username "
                 "and sasl.password.",
                 r->library);
    } else if (kind == REASON_SASL_LISTENER && r->lacks_protocol) {
        snprintf(out, size,
                 "kafka.properties has sasl.*, and no security.protocol: set it to "
                 "SASL_SSL or SASL_PLAINTEXT.");
    } else {
        while (m->kind != kind || m->hint == NULL) {
            m++;
        }
        snprintf(out, size, "%s", m->hint);
    }
}

/* "a:9092: Connection refused, b:9092: ..., and 3 more": all that are not old, or only those that
 * are missing now. Returns the one about which most must be done. */
static const struct reason *print(const struct reasons *r, bool only_missing, usec_t now,
                                  struct buf *out)
{
    const struct reason *first = NULL;
    usec_t last = newest(r);
    size_t shown = 0;
    size_t more = 0;

    for (size_t i = 0; i < r->count; i++) {
        const struct reason *one = &r->items[i];
        if (only_missing ? !is_missing(one, now) : one->heard + REASON_AGE < last) {
            continue;
        }
        if (shown == REASONS_NAMED) {
            more++;
            continue;
        }
        buf_printf(out, "%s%s: %s", shown++ > 0 ? ", " : "", one->broker, one->text);
        if (first == NULL || one->kind < first->kind) {
            first = one;
        }
    }
    if (more > 0) {
        buf_printf(out, " and %zu more", more);
    }
    return first;
}

static void hint(const struct reasons *r, const struct reason *about, struct error *err)
{
    enum reason_kind kind = about != NULL ? about->kind : REASON_OTHER;

    reasons_hint(r, kind, err->hint, sizeof err->hint);
    if (about != NULL && about->is_advertised && kind >= REASON_REFUSED) {
        size_t n = strlen(err->hint);
        snprintf(err->hint + n, sizeof err->hint - n,
                 " This address is the one that the broker gives out (its advertised.listeners).");
    }
}

void reasons_explain(const struct reasons *r, const char *otherwise, struct error *err)
{
    if (lacks_token(r)) { /* it has come before whatever a broker says */
        error_set(err, ERROR_LINK, "brokers cannot be reached (no token for SASL OAUTHBEARER: %s)",
                  r->no_token);
        snprintf(err->hint, sizeof err->hint, "%s", TOKEN_HINT);
        return;
    }
    _cleanup_buf_ struct buf text = {0};
    const struct reason *first = print(r, false, 0, &text);

    error_set(err, ERROR_LINK, "brokers cannot be reached (%s)",
              first != NULL ? buf_cstr(&text) : otherwise);
    hint(r, first, err);
}

size_t reasons_missing(const struct reasons *r, usec_t now, uint64_t names[REASONS_MOST],
                       struct error *err)
{
    _cleanup_buf_ struct buf text = {0};
    size_t n = 0;

    for (size_t i = 0; i < r->count; i++) {
        if (is_missing(&r->items[i], now)) {
            /* print takes them in this order, and only counts those after the first */
            names[n] = str_hash(str_of(r->items[i].broker)) + (n >= REASONS_NAMED);
            n++;
        }
    }
    if (n > 0) {
        const struct reason *first = print(r, true, now, &text);
        error_set(err, ERROR_LINK, "some brokers cannot be reached (%s)", buf_cstr(&text));
        hint(r, first, err);
    }
    return n;
}
