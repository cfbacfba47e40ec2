"""A real Debezium source: schema `source` of a test's database into topics, as change events.

    def test_something(bench, connect):
        bench.sql("CREATE SCHEMA source")
        ...
        with Source(bench, connect) as source:
            bench.sql("INSERT INTO source.things ...")
            log = source.log("things", events=1)

The connector reads the write-ahead log by pgoutput. Every record it writes is kept in a Log, as if the test had
produced it. MariaSource is the same for a database of MariaDB.
"""

import itertools

from confluent_kafka import Consumer, TopicPartition

from kit import wait
from kit.kafka import CLIENT
from kit.postgres import SUPERUSER
from kit.records import Log, Record


# The framings that Apicurio's converter writes, by what the route calls them.
FRAMINGS = {
    "headers": {"apicurio.registry.headers.enabled": "true"},
    "confluent": {"apicurio.registry.headers.enabled": "false", "apicurio.registry.as-confluent": "true",
                  "apicurio.registry.use-id": "contentId"},
    "apicurio8": {"apicurio.registry.headers.enabled": "false"},
}  # fmt: skip


def avro(registry, framing):
    """Options of a Source that let it write Avro, keys and values, through a registry of Apicurio's."""
    options = {"apicurio.registry.url": f"{registry.url}/apis/registry/v2", "apicurio.registry.auto-register": "true",
               "apicurio.registry.find-latest": "true"} | FRAMINGS[framing]  # fmt: skip
    found = {"schema_name_adjustment_mode": "avro"}
    for part in ("key", "value"):
        found[f"{part}_converter"] = "io.apicurio.registry.utils.converter.AvroConverter"
        found |= {f"{part}.converter.{name}": value for name, value in options.items()}
    return found


class Connector:
    """What any connector of Debezium's has. `schemas`: do the records carry their schema?"""

    def __init__(self, bench, connect, schemas, options):
        self.bench = bench
        self.connect = connect
        self.name = bench.name("source").replace(".", "_")
        self._options = {key.replace("_", "."): value for key, value in options.items()}
        self._schemas = str(schemas).lower()

    def config(self):
        return {
            "tasks.max": 1,
            "database.hostname": "127.0.0.1",
            "topic.prefix": self.name,
            "key.converter.schemas.enable": self._schemas,
            "value.converter.schemas.enable": self._schemas,
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "topic.creation.default.replication.factor": 1,
            "topic.creation.default.partitions": 1,
            "skipped.operations": "none",
            "poll.interval.ms": 20,
        }

    def topic(self, table):
        raise NotImplementedError

    def log(self, table, events, timeout=30):
        """The topic of a table once it has so many records, tombstones among them, and what they are."""
        topic = self.topic(table)
        broker = self.bench.kafka

        def there():
            assert self.connect.runs(self.name), f"connector {self.name} does not run"
            return topic in broker.admin.list_topics(timeout=5).topics and broker.ends(topic)[0] >= events

        wait.until(there, f"{events} records in {topic}; Debezium's log is {self.connect.log}", timeout)
        return read_back(broker, topic)


class Source(Connector):
    """One connector. `schemas`: do the records carry their schema? Other options are the connector's own."""

    def __init__(self, bench, connect, *, schemas=False, **options):
        super().__init__(bench, connect, schemas, options)
        self.slot = self.name

    def config(self):
        return super().config() | {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "database.port": self.bench.postgres.port,
            "database.user": SUPERUSER,
            "database.password": "unused",
            "database.dbname": self.bench.database,
            "plugin.name": "pgoutput",
            "slot.name": self.slot,
            "publication.name": self.name,
            "publication.autocreate.mode": "filtered",
            "schema.include.list": "source",
            "status.update.interval.ms": 200,
        } | self._options

    def __enter__(self):
        self.connect.add(self.name, self.config())
        wait.until(self._streams, f"Debezium to follow the log of {self.bench.database}", timeout=30)
        return self

    def _streams(self):
        """The snapshot is over: the slot is in use."""
        assert self.connect.runs(self.name) or not self.connect.popen.poll()
        return self.bench.value("SELECT active FROM pg_replication_slots WHERE slot_name = %s", self.slot)

    def __exit__(self, *_):
        self.connect.remove(self.name)
        wait.until(lambda: not self._streams_still(), "Debezium to leave its slot", timeout=20)
        self.bench.sql("SELECT pg_drop_replication_slot(%s)", self.slot)

    def _streams_still(self):
        return self.bench.value("SELECT active FROM pg_replication_slots WHERE slot_name = %s", self.slot)

    def topic(self, table):
        return f"{self.name}.source.{table}"


class MariaSource(Connector):
    """One connector for the database of that name in a MariaDB server, with a user and a place among the replicas of
    its own."""

    _ids = itertools.count(1000)

    def __init__(self, bench, connect, server, database, *, schemas=False, **options):
        super().__init__(bench, connect, schemas, options)
        self.server = server
        self.database = database
        self._id = next(self._ids)

    def config(self):
        return super().config() | {
            "connector.class": "io.debezium.connector.mariadb.MariaDbConnector",
            "database.port": self.server.port,
            "database.user": self.name,
            "database.password": "secret",
            "database.server.id": self._id,
            "database.ssl.mode": "disable",
            "database.include.list": self.database,
            "schema.history.internal": "io.debezium.relational.history.MemorySchemaHistory",
            "schema.history.internal.store.only.captured.databases.ddl": "true",
        } | self._options

    def __enter__(self):
        self.server.run(f"GRANT ALL ON *.* TO {self.name}@'%' IDENTIFIED BY 'secret'")
        self.connect.add(self.name, self.config())
        wait.until(self._streams, f"Debezium to follow the log of {self.database}", timeout=60)
        return self

    def _streams(self):
        """The snapshot is over: the server sends its log."""
        assert self.connect.runs(self.name) or not self.connect.popen.poll()
        return self._dumps()

    def _dumps(self):
        return self.server.value(
            "SELECT count(*) FROM information_schema.processlist"
            f" WHERE user = '{self.name}' AND command LIKE 'Binlog Dump%'"
        ) != "0"  # fmt: skip

    def __exit__(self, *_):
        self.connect.remove(self.name)
        self.server.run(f"KILL USER {self.name}")  # else the server notices only when it has more to send

    def topic(self, table):
        return f"{self.name}.{self.database}.{table}"


class Mirror:
    """A model for bench.check: the table holds what another one holds, or `(VALUES ...) AS v`, as PostgreSQL prints it."""

    LIMIT = 5  # of differences shown

    def __init__(self, of):
        self.of = of

    def faults(self, db, table, _records):
        found = []
        for kind, one, other in (("lacks", self.of, table), ("invention", table, self.of)):
            rows = db.execute(f"SELECT r::text FROM {one} AS r EXCEPT ALL SELECT r::text FROM {other} AS r").fetchall()
            found += [(kind, f"{table}: {row[:300]}") for (row,) in rows[: self.LIMIT]]
        return found


def read_back(broker, topic):
    """A Log of what somebody else has produced."""
    log = Log(broker, topic, broker.partitions(topic))
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "kit", **CLIENT})
    try:
        consumer.list_topics(topic, timeout=10)  # to know the leader: an assignment that has to ask takes 1 s
        for partition, end in log.ends().items():
            consumer.assign([TopicPartition(topic, partition, 0)])
            log.keep(_read(consumer, topic, end))
    finally:
        consumer.close()
    return log


def _read(consumer, topic, end):
    records = []
    while not records or records[-1].offset < end - 1:
        message = consumer.poll(20)
        assert message is not None, f"reading {topic} back takes too long"
        assert message.error() is None, message.error()
        records.append(
            Record(
                message.partition(), message.offset(), message.key(), message.value(),
                message.timestamp()[1], message.headers(),
            )
        )  # fmt: skip
    return records
