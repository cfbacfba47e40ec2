/*
 * Why brokers cannot be reached: the last reason of each, in few words, and what a person can do.
 * It is read from the library's texts, which name the broker first:
 *     ssl://kafka1:9093/bootstrap: SSL handshake failed: ... (after 18ms in state SSL_HANDSHAKE)
 * Private to kafka/; pure but for the time that it is given. The thread that takes the events.
 */
#ifndef KAFKA_REASONS_H
#define KAFKA_REASONS_H

#include "base/clock.h"
#include "base/error.h"

/* Brokers whose reasons are kept, and of these, so many are named in a line. */
#define REASONS_MOST 16
#define REASONS_NAMED 3

/* In the order of reasons.c:MEANINGS. */
enum reason_kind {
    REASON_SCRAM,
    REASON_MECHANISM,
    REASON_NO_SASL,
    REASON_SASL_LISTENER,
    REASON_LOGIN,
    REASON_TLS_LISTENER,
    REASON_OWN_CERTIFICATE,
    REASON_CERTIFICATE,
    REASON_NO_TLS,
    REASON_RESOLVE,
    REASON_REFUSED,
    REASON_OTHER,
    REASON_KINDS,
};

struct reason {
    char broker[128]; /* host:port */
    char text[200];
    enum reason_kind kind;
    bool is_advertised;    /* the address is one that a broker gives out */
    usec_t since;          /* when it was reported first, */
    usec_t heard;          /*   and last; */
    usec_t at;             /*   how old the text is: later reports may have said less; */
    usec_t up_at;          /*   when the broker came up last; 0: it has not, as far as is known */
    enum reason_kind said; /* of the last refusal that was news; REASON_KINDS: none was */
    usec_t say_at;         /* when it is news again */
};

struct reasons {
    struct reason items[REASONS_MOST];
    size_t count;
    usec_t failing_since; /* all brokers that are known fail; 0: not all, as far as was reported */
    uint64_t changes;     /* counts what reasons_print may show otherwise */
    char no_token[300];   /* why there was none for SASL OAUTHBEARER; "": there was, so far */
    usec_t no_token_at;   /*   reported last; */
    usec_t say_token_at;  /*   news again, even of the same kind */
    bool scram_fails;     /* the library cannot do SCRAM with Kafka 4, and is to do it, */
    const char *library;  /*   as of this version; borrowed */
    bool lacks_protocol;  /* sasl.* is set without security.protocol (reasons_warn) */
    char *secrets[8];     /* which no text may show; owned */
    char *plain[8];       /* which every text may show; owned, may be NULL */
    size_t secret_count;
};

void reasons_init(struct reasons *r);
void reasons_done(struct reasons *r);

/* A text that must never be shown, or one that may although it is a part of such a text. Copied;
 * NULL and more than there is room for are ignored. */
void reasons_hide(struct reasons *r, const char *secret);
void reasons_show(struct reasons *r, const char *plain);

/*
 * Keeps the reason from a text of an error event, unless it says less than what is known of this
 * broker. Returns what is kept, borrowed until the next call; NULL: it names no broker. is_news: it
 * is a refusal, and the last one of this broker was of another kind, or so long ago that it is said
 * again.
 */
const struct reason *reasons_note(struct reasons *r, const char *text, bool is_refusal, usec_t now,
                                  bool *out_is_news) _must_;

/*
 * Keeps why there is no token: without one no broker can be reached. Returns whether it is news: of
 * another kind than the last time, or long after it. What a program says for itself, and numbers,
 * make no other kind.
 */
bool reasons_no_token(struct reasons *r, const char *text, usec_t now) _must_;

/* The library has reported that all brokers are down. */
void reasons_all_failed(struct reasons *r, usec_t now);

/* What the library says about properties that do not go together. */
void reasons_warn(struct reasons *r, const char *text);

/* A broker has answered: all are forgotten. */
void reasons_clear(struct reasons *r);

/* Is a reason among them by which a person can see what to do? */
bool reasons_are_known(const struct reasons *r) _pure_;

/* Do all brokers fail, each for a reason that lasts until a person acts, and for long enough that
 * none of them is only restarting? */
bool reasons_are_lasting(const struct reasons *r, usec_t now) _pure_;

/* The i-th of them was up at this time (monotonic; 0: never). */
void reasons_up(struct reasons *r, size_t i, usec_t at);

/*
 * While others answer: how many brokers fail for so long that they are not only restarting, and go
 * on failing. If any, fills *err (ERROR_LINK): "some brokers cannot be reached (kafka2:9092:
 * Connection refused)", with a hint about the first; and `names` as client_missing does.
 */
size_t reasons_missing(const struct reasons *r, usec_t now, uint64_t names[REASONS_MOST],
                       struct error *err);

/* Fills *err (ERROR_LINK): "brokers cannot be reached (kafka1:9092: Connection refused, ...)" with
 * a hint about the first; in the brackets stands `otherwise` if no reason is known. */
void reasons_explain(const struct reasons *r, const char *otherwise, struct error *err);

/* What to do about one of them, into `out`. */
void reasons_hint(const struct reasons *r, enum reason_kind kind, char *out, size_t size);

#endif
