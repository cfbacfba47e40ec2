"""Records whose every offset is known: what was produced is the first half of the proof.

A Log is a topic and everything that was ever committed to it, per partition and offset: the producer's tally.
The checker compares a table with it, and with what Kafka shows.

Offsets may come to name other records:

    log.recreate()             the topic was deleted and created again
    log.truncate_at({0: 90})   the log of partition 0 was cut at 90 (an unclean election, which the test has made)

Then what was there before moves to log.former, oldest first, and log.records goes on with the log as it is now.
No numbered record is produced twice, so rows of the one are never taken for rows of the other.
"""

import datetime
import json
from dataclasses import dataclass

from confluent_kafka import Producer

from kit.kafka import CLIENT


@dataclass(slots=True)
class Record:
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int  # ms since 1970
    headers: list | None = None

    @property
    def json(self):
        return json.loads(self.value)

    @property
    def time(self):
        """The timestamp as PostgreSQL's timestamptz reads it back."""
        return datetime.datetime.fromtimestamp(0, datetime.UTC) + datetime.timedelta(milliseconds=self.timestamp)


def numbered(partition, n):
    """The n-th plain test record of a partition: no two are alike."""
    number = partition * 10_000_000 + n
    return b'{"id": %d, "note": "%d-%d", "amount": %d.%02d}' % (number, partition, n, n, n % 100)


def padded(size):
    """Like numbered, with so many bytes of ballast in a field no test table has."""
    ballast = b'"ballast": "' + b"x" * size + b'", '

    def make(partition, n):
        return b"{" + ballast + numbered(partition, n)[1:]

    return make


@dataclass
class Former:
    """The logs that partitions had before: all they held, and from where on other records took their place."""

    records: dict  # partition -> {offset: Record}
    cut: dict  # partition -> first offset that was used again; 0 after a topic was created again


class Log:
    """A topic, its producer, and what was produced: records[partition][offset]."""

    EPOCH = 1_760_000_000_000  # ms; record n of a partition has this time plus n

    def __init__(self, broker, topic, partitions):
        self.broker = broker
        self.topic = topic
        self.records = {p: {} for p in range(partitions)}
        self.former = []
        self._count = dict.fromkeys(range(partitions), 0)  # records ever sent, per partition
        self._failed = None
        self.connect()

    def connect(self, **options):
        """Makes the producer, anew after the topic has changed or with other options."""
        self.producer = Producer(
            {
                "bootstrap.servers": self.broker.bootstrap,
                "enable.idempotence": True,
                "linger.ms": 5,
                "queue.buffering.max.messages": 500_000,
                **CLIENT,
                **options,
            }
        )

    @property
    def partitions(self):
        return sorted(self.records)

    def count(self, partition=None):
        """Records committed, in one partition or in all."""
        if partition is not None:
            return len(self.records[partition])
        return sum(len(r) for r in self.records.values())

    def ends(self):
        """{partition: end offset}, as the broker says."""
        return self.broker.ends(self.topic)

    def add_partitions(self, total):
        self.broker.add_partitions(self.topic, total)
        for p in range(len(self.records), total):
            self.records[p] = {}
            self._count[p] = 0
        self.connect()

    def shown(self):
        """{partition: kafka.Shown}: the topic, read again."""
        return self.broker.shown(self.topic)

    def recreate(self, partitions=None, at_once=False, **config):
        """Deletes the topic and creates it again, empty, with as many partitions unless told otherwise.

        It need not be there: the broker may have been replaced by another cluster. at_once: without waiting until
        it is gone.
        """
        partitions = partitions or len(self.records)
        if at_once:
            self.broker.replace_topic(self.topic, partitions)
        else:
            if self.broker.has_topic(self.topic):
                self.broker.delete_topic(self.topic)
            self.broker.create_topic(self.topic, partitions, **config)
        self.former.append(Former(self.records, dict.fromkeys(self.records, 0)))
        self.records = {p: {} for p in range(partitions)}
        self._count |= {p: 0 for p in range(partitions) if p not in self._count}
        self.connect()

    def truncate_at(self, cuts):
        """Takes note that the log has lost what lies at {partition: offset} and above."""
        self.former.append(Former({p: dict(self.records[p]) for p in cuts}, cuts))
        for p, cut in cuts.items():
            self.records[p] = {o: r for o, r in self.records[p].items() if o < cut}
        self.connect()

    def forget(self, before):
        """Takes out what lies below {partition: offset}: retention has deleted it."""
        for p, offset in before.items():
            self.records[p] = {o: r for o, r in self.records[p].items() if o >= offset}

    def delete_records(self, before):
        """Lets the broker delete what lies below, and forgets it."""
        self.broker.delete_records(self.topic, before)
        self.forget(before)

    def send(self, value, partition=0, key=None, headers=None, timestamp=None):
        """Produces one record and waits for it; the Record with its offset."""
        return self.send_many([(partition, key, value, headers, timestamp)])[0]

    def send_json(self, partition=0, key=None, **fields):
        return self.send(json.dumps(fields).encode(), partition, key)

    def fill(self, total, make=numbered, partitions=None):
        """Spreads `total` numbered records evenly over the partitions and waits for them."""
        partitions = self.partitions if partitions is None else partitions
        batch = []
        for i in range(total):  # round robin: no partition is complete before the others
            p = partitions[i % len(partitions)]
            n = self._count[p] + i // len(partitions)
            batch.append((p, None, make(p, n), None, None))
        return self.send_many(batch)

    def send_many(self, batch, producer=None, keep=True):
        """Produces (partition, key, value, headers, timestamp) in order; the Records with their offsets."""
        producer = self.producer if producer is None else producer  # an idle Producer is false
        sent = []

        def stored(record):
            def report(error, message):
                if error is None:
                    record.offset = message.offset()
                else:
                    self._failed = error

            return report

        for partition, key, value, headers, timestamp in batch:
            n = self._count[partition]
            self._count[partition] = n + 1
            record = Record(partition, -1, key, value, timestamp or self.EPOCH + n, headers)
            sent.append(record)
            extra = {"headers": headers} if headers else {}
            while True:
                try:
                    producer.produce(
                        self.topic, value, key, partition,
                        timestamp=record.timestamp, on_delivery=stored(record), **extra,
                    )  # fmt: skip
                    break
                except BufferError:
                    producer.poll(0.1)
            if len(sent) % 1000 == 0:
                producer.poll(0)
        assert producer.flush(60) == 0, "the broker did not take all records"
        assert self._failed is None, f"producing failed: {self._failed}"
        if any(record.offset is None for record in sent):
            self._find(sent)
        if keep:
            self.keep(sent)
        return sent

    def _find(self, sent):
        """Offsets from the log itself.

        A broker that dies between writing a batch and answering for it calls the second try a duplicate, and then
        librdkafka reports the records as stored, without their offsets. They are in order, and the last of the log.
        """
        shown = self.shown()
        for partition in {record.partition for record in sent}:
            own = [record for record in sent if record.partition == partition]
            for record, offset in zip(own, shown[partition].offsets[-len(own) :], strict=True):
                assert record.offset in (None, offset)
                record.offset = offset

    def keep(self, sent):
        """Counts records as committed."""
        for record in sent:
            assert record.offset >= 0 and record.offset not in self.records[record.partition]
            self.records[record.partition][record.offset] = record


class Transactions:
    """A transactional producer on a Log: commit() keeps what was sent since begin(), abort() does not."""

    def __init__(self, log, transactional_id):
        self.log = log
        self.producer = Producer(
            {
                "bootstrap.servers": log.broker.bootstrap,
                "transactional.id": transactional_id,
                "linger.ms": 0,
                **CLIENT,
            }
        )
        self.producer.init_transactions(30)
        self._open = []

    def begin(self):
        self.producer.begin_transaction()
        self._open = []

    def fill(self, n, partitions=None):
        """Numbered records for each of the partitions, inside the open transaction; they reach the log."""
        for p in self.log.partitions if partitions is None else partitions:
            first = self.log._count[p]
            batch = [(p, None, numbered(p, first + k), None, None) for k in range(n)]
            self._open += self.log.send_many(batch, self.producer, keep=False)

    def commit(self):
        self.producer.commit_transaction(30)
        self.log.keep(self._open)

    def abort(self):
        self.producer.abort_transaction(30)
