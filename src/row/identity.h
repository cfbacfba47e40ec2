/*
 * Which log is it? An offset means something only in the log in which it was read, and three things
 * can put other records behind it: a topic that is deleted and created again, a log that an unclean
 * election has truncated, another cluster at the same address. What tells them apart: the
 * fingerprint of a record that was stored, and the ids that Kafka gives to clusters and topics.
 * Pure; any thread.
 */
#ifndef ROW_IDENTITY_H
#define ROW_IDENTITY_H

#include "row/message.h"

/* Offsets of fingerprints of no record: nothing was stored yet, or next_offset was set by hand or
 * by a gap, and counts for whatever log is there now. */
#define FINGERPRINT_NONE INT64_C(-1)
#define FINGERPRINT_BY_HAND INT64_C(-2)

/* One record of a log, in two numbers. */
struct fingerprint {
    int64_t offset;
    uint32_t crc;
};

/* CRC-32C over timestamp, the lengths of key and value (null apart from empty), key and value. */
struct fingerprint fingerprint_of(const struct message *m) _pure_;

/* As Kafka gives them; "" = not known. A longer id is cut, which never makes two equal ones differ.
 */
struct log_ids {
    char cluster[64];
    char topic[40];
};

/* What a look at the fingerprint's offset has shown. */
enum log_evidence {
    EVIDENCE_NONE,  /* nothing: no fingerprint, too far back, deleted or compacted meanwhile */
    EVIDENCE_SAME,  /* that record is there */
    EVIDENCE_OTHER, /* another one is */
};

/*
 * What the ends of a log that had no record at `offset`, nor any after it, say about it. They are
 * asked for after the record was, and meanwhile the log may have grown past the offset: then false,
 * and the record is to be looked for again.
 */
bool log_look_at_ends(int64_t offset, int64_t start, int64_t end, enum log_evidence *out) _must_;

enum log_verdict {
    LOG_SAME,          /* or nothing speaks against it */
    LOG_MOVED,         /* the same records under other ids: a cluster that was linked or restored */
    LOG_CREATED_AGAIN, /* the topic's id says that it is a new topic */
    LOG_OTHER_CLUSTER,
    LOG_OTHER, /* other records, and nobody knows why */
};

/*
 * The fingerprint decides where it can, for the ids of a migrated cluster differ although the
 * records are the same; without evidence the ids do; where there are none, nothing is concluded.
 */
enum log_verdict log_judge(enum log_evidence evidence, const struct log_ids *known,
                           const struct log_ids *now) _pure_;

/* Has `now` an id that `known` lacks, or another one? Then it is to be written down. */
bool log_ids_are_news(const struct log_ids *known, const struct log_ids *now) _pure_;

#endif
