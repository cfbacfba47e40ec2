/*
 * kafka.properties into the library's configuration: what it refuses is said with the place in the
 * file, its own words and what to write instead. Secrets stay out of that. Any thread.
 */
#ifndef KAFKA_PROPERTIES_H
#define KAFKA_PROPERTIES_H

#include "base/error.h"
#include "config/config.h"
#include "kafka/librdkafka.h"

/*
 * Sets all of them. ERROR_SETUP. Numbers are read strictly: the library takes 6s for 6. Without
 * secrets (config_is_without_secrets) files are left out, as they may be missing as well.
 */
bool properties_set(rd_kafka_conf_t *conf, const struct config *cfg, struct error *err) _must_;

/* Fills err with why no client could be made: `text` is the library's. Returns false. */
bool properties_refused(const struct config *cfg, const char *text, struct error *err);

#endif
