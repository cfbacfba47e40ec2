/*
 * The thread that answers HTTP: /metrics, /livez, /readyz, /status and the page /. It owns the
 * listening socket and what it shows, and never holds main up:
 *
 *     site                           main
 *     a request comes
 *     posts an ask (once)   ---->    at its next turn: snapshot_new
 *                           <----    site_show(snapshot)
 *     writes it out, answers
 *
 * What is a second old is new enough. If main does not answer within a second, what it has shown
 * last is served, and /readyz says so; /livez asks nobody (vitals.h).
 */
#ifndef SINK_WATCH_SITE_H
#define SINK_WATCH_SITE_H

#include "config/config.h"
#include "sink/watch/snapshot.h"
#include "sink/watch/vitals.h"

struct site;

struct site_config {
    const struct config *cfg; /* read by site_open only */
    const char *owner;        /* this process, as the ledger names it */
    const struct vitals *vitals;
    struct mailbox *asks;  /* main's: an empty node, to be freed, asks for a snapshot */
    uint64_t buffer_limit; /* bytes that all batches hold at most, until main shows it */
};

/*
 * Listens. NULL: http.listen is off (ERROR_NONE), or it cannot listen: ERROR_AGAIN where it may
 * work later, else ERROR_SETUP. @thread main
 */
struct site *site_open(const struct site_config *sc, struct error *err);

/* Starts the thread; another one that it takes the place of (or NULL) is stopped and freed, and
 * what that has seen for the plots goes on. @thread main */
void site_start(struct site *s, struct site *former);

/* Another number of partitions with metrics of their own, http.partitions. @thread main */
void site_limit(struct site *s, uint32_t partitions);

/* How much memory it takes at most, beside what it shows; 0: http.listen is off. @thread any */
uint64_t site_memory(const struct config *cfg);

/* Gives it what it has asked for. @thread main */
void site_show(struct site *s, struct snapshot *shown);

/* Stops listening and ends the thread, which waits for nobody; what it has seen is still there for
 * site_start, or else to be freed by site_stop. @thread main */
void site_end(struct site *s);

/* The same where it is not ended yet, and frees it. Does nothing for NULL. @thread main */
void site_stop(struct site *s);

#endif
