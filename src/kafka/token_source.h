/*
 * Tokens for SASL OAUTHBEARER by a program of the user's (kafka.oauth_token_command, decision 031).
 * The program is executed by itself, without a shell, in a process group of its own, with no input
 * and no descriptor of ours, and has 30 s. Its whole output is limited, and never logged. Private
 * to kafka/, except for token_source_try.
 */
#ifndef KAFKA_TOKEN_SOURCE_H
#define KAFKA_TOKEN_SOURCE_H

#include "base/clock.h"
#include "base/token.h"
#include "config/config.h"
#include "kafka/events.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

/*
 * The same for a consumer beside the one of the process: ending ends the program, and must live as
 * long as that consumer. Takes its opaque.
 */
void token_source_use_in_reader(rd_kafka_conf_t *conf, const struct config *cfg,
                                _Atomic bool *ending);

/*
 * The consumer that is made of conf is to get its tokens from the command; nothing, if there is
 * none. Then, when it is made: starts that. From there on the library's background thread runs the
 * command whenever a token is wanted, which waits for it: nobody else waits for that thread, but
 * for the end of the consumer. @thread the one that makes the consumer
 */
void token_source_use(rd_kafka_conf_t *conf, const struct config *cfg);
void token_source_start(rd_kafka_t *rk, const struct config *cfg);

/*
 * Runs it once: words, separated by blanks. ending: if it becomes true, the program is killed; may
 * be NULL. ERROR_SETUP with the exit status and the last line of standard error. Blocks up to
 * `timeout`. @thread any that may block
 */
bool token_source_run(const char *command, usec_t timeout, const _Atomic bool *ending,
                      struct token *out, struct error *err) _must_;

/* The same, for pgsinkd check; *out_seconds: how long the token is valid. @thread main */
bool token_source_try(const struct config *cfg, int64_t *out_seconds, struct error *err) _must_;

#endif
