/* Private to kafka/: has a consumer count what passes (traffic.h). */
#ifndef KAFKA_TRAFFIC_TAPS_H
#define KAFKA_TRAFFIC_TAPS_H

#include "kafka/traffic.h"

#include <librdkafka/rdkafka.h>

/* The consumer that is made of conf counts in t, which must live as long as it. Main thread. */
void traffic_tap(struct traffic *t, rd_kafka_conf_t *conf);

#endif
