"""An Apache Kafka broker of our own: one JVM that is broker and controller (KRaft).

It has two listeners. `bootstrap` leads straight to the broker; `proxied` is advertised as the port of a
proxy of the kit (see proxy.py), so that a client of that listener can never go round the proxy.

    with broker.replaced():    # another cluster answers there

A cluster of several brokers is in cluster.py.
"""

import base64
import contextlib
import os
import shutil
import socket
import struct
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from kit import process, wait
from kit.proxy import Proxy

VERSION = "4.1.1"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pgsinkd-tests"
JARS = CACHE / f"kafka-{VERSION}" / "libs"

# A version that takes SCRAM from the library of Debian 12, as Kafka 4 does not; see KAFKA_3_VERSION in tools/lib.sh.
JARS_3 = CACHE / "kafka-3.9.1" / "libs"

JAVA = ["-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]

SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=DIRECT://127.0.0.1:{direct},PROXIED://127.0.0.1:{behind},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=DIRECT://127.0.0.1:{direct},PROXIED://127.0.0.1:{proxy}
listener.security.protocol.map=DIRECT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=DIRECT
controller.listener.names=CONTROLLER
"""
COMMON = """\
num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=2
offsets.topic.num.partitions=1
offsets.topic.replication.factor={copies}
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr=1
broker.heartbeat.interval.ms=300
broker.session.timeout.ms=2000
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
auto.create.topics.enable=false
delete.topic.enable=true
log.retention.hours=-1
log.retention.check.interval.ms=500
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.backoff.ms=200
log.segment.delete.delay.ms=100
file.delete.delay.ms=100
"""

# For a moment after the broker stood still.
NO_LEADER = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError._UNKNOWN_PARTITION,
)


def program(main, *argv, heap="512m", jars=JARS):
    """The command line of one of Kafka's programs."""
    return ["java", f"-Xmx{heap}", *JAVA, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp", f"{jars}/*", main, *map(str, argv)]  # fmt: skip


@dataclass
class Shown:
    """What a plain read_committed consumer is shown of a partition, from its first stored offset to its end."""

    end: int = 0  # where it waits for more: the last stable offset
    offsets: list = field(default_factory=list)  # of the records it got; the others are markers, aborted, compacted


class Server:
    """One JVM of Kafka: its directory, settings and process."""

    JARS = JARS  # of another version perhaps
    HEAP = "512m"
    FORMAT = ()  # more options of the formatting

    def __init__(self, root: Path, settings):
        self.root = root
        self.root.mkdir()
        self.log = self.root / "log"
        self.data = self.root / "data"
        self.properties = self.root / "server.properties"
        self.properties.write_text(f"{settings}log.dirs={self.data}\n")
        self.popen = None

    def format(self):
        """Writes the storage directory of a new cluster."""
        assert self.JARS.is_dir(), f"no Kafka in {self.JARS}: run tools/test, it fetches what the tests need"
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if cluster.startswith("-"):  # would be taken for an option
            cluster = "A" + cluster[1:]
        done = subprocess.run(
            program("kafka.tools.StorageTool", "format", "-t", cluster, "-c", self.properties, *self.FORMAT, jars=self.JARS),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return self

    @property
    def running(self):
        return self.popen is not None and self.popen.poll() is None

    def spawn(self):
        with self.log.open("ab") as log:
            argv = program("kafka.Kafka", self.properties, heap=self.HEAP, jars=self.JARS)
            self.popen = process.spawn(argv, stdout=log, cwd="/")

    def assert_running(self):
        assert self.running, f"Kafka ended: {self.log.read_text()[-2000:]}"

    def stop(self):
        """A clean shutdown; kill -9 when it takes too long."""
        if self.popen is None:
            return
        process.end(self.popen, 20)
        self.popen = None

    def kill(self):
        self.popen.kill()
        self.popen.wait()
        self.popen = None

    def freeze(self):
        process.freeze(self.popen.pid)

    def thaw(self):
        process.thaw(self.popen.pid)


class Administration:
    """What a test asks of Kafka, be it one broker or several: `bootstrap` leads to it."""

    COPIES = 1  # of a topic that does not say how many
    _admin = None

    @property
    def admin(self):
        if self._admin is None:
            self._admin = AdminClient({"bootstrap.servers": self.bootstrap, **CLIENT})
        return self._admin

    def cluster_id(self):
        return self.admin.list_topics(timeout=5).cluster_id

    def create_topic(self, name, partitions=1, replication_factor=None, **config):
        """Config keys are written with underscores: cleanup_policy="compact"."""
        config = {key.replace("_", "."): str(value) for key, value in config.items()}
        topic = NewTopic(
            name, num_partitions=partitions, replication_factor=replication_factor or self.COPIES, config=config
        )
        self._done(self.admin.create_topics([topic], request_timeout=60))  # thousands of partitions take long
        self._wait_partitions(name, partitions)

    def has_topic(self, name):
        return name in self.admin.list_topics(timeout=5).topics

    def delete_topic(self, name):
        self._done(self.admin.delete_topics([name], request_timeout=10))
        wait.until(lambda: not self.has_topic(name), f"{name} to be deleted")

    def replace_topic(self, name, partitions):
        """Deletes a topic and creates it again as soon as the cluster lets it: nobody may notice that it was away."""
        self._done(self.admin.delete_topics([name], request_timeout=10))

        def created():
            with contextlib.suppress(KafkaException):  # it exists still
                self.create_topic(name, partitions)
                return True

        wait.until(created, f"{name} to be created again", interval=0.001)

    def add_partitions(self, name, total):
        self._done(self.admin.create_partitions([NewPartitions(name, total)], request_timeout=10))
        self._wait_partitions(name, total)

    def configure_topic(self, name, **config):
        """Replaces the topic's whole configuration."""
        resource = ConfigResource("topic", name, {k.replace("_", "."): str(v) for k, v in config.items()})
        self._done(self.admin.alter_configs([resource], request_timeout=10))

    def _done(self, futures):
        for future in futures.values():
            future.result(70)

    def _wait_partitions(self, name, total):
        def there():
            topic = self.admin.list_topics(name, timeout=5).topics[name]
            return topic.error is None and len(topic.partitions) == total and all(
                p.leader > 0 for p in topic.partitions.values()
            )

        wait.until(there, f"{name} to have {total} partitions")

    def partitions(self, name):
        return len(self.admin.list_topics(name, timeout=5).topics[name].partitions)

    def watermarks(self, name):
        """{partition: (first offset, end offset)}; the end counts transaction markers too."""
        return wait.until(lambda: self._watermarks(name), f"the leaders of {name}")

    def _watermarks(self, name):
        """None while a partition has no leader; a consumer that has seen this may never ask again."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "kit", **CLIENT})
        try:
            return {
                p: consumer.get_watermark_offsets(TopicPartition(name, p), timeout=10)
                for p in range(self.partitions(name))
            }
        except KafkaException as e:
            if e.args[0].code() not in NO_LEADER:
                raise
            return None
        finally:
            consumer.close()

    def ends(self, name):
        return {p: end for p, (_, end) in self.watermarks(name).items()}

    def visible(self, name):
        """{partition: [offsets]} that a plain read_committed consumer sees, from start to end."""
        return {p: shown.offsets for p, shown in self.shown(name).items()}

    def shown(self, name, patience=20):
        """{partition: Shown}, read again from Kafka; empty for a topic that is not there.

        Made for millions of records: batches, and nothing of a record is kept but its offset. patience: seconds in
        which something must come.
        """
        consumer = Consumer({"bootstrap.servers": self.bootstrap, **READER, **CLIENT})
        # Asked by the consumer itself: if it does not know the leaders when it is assigned, that takes 0.5 s.
        shown = {p: Shown() for p in consumer.list_topics(name, timeout=10).topics[name].partitions}
        consumer.assign([TopicPartition(name, p, OFFSET_BEGINNING) for p in shown])
        open_, heard = set(shown), time.monotonic()
        try:
            while open_:
                batch = consumer.consume(5000, 0.02)  # which waits that long for the last of the 5000
                if batch:
                    heard = time.monotonic()
                assert time.monotonic() < heard + patience * wait.FACTOR, f"reading {name} back takes too long"
                for message in batch:
                    if message.error() is None:
                        shown[message.partition()].offsets.append(message.offset())
                    else:
                        assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                        shown[message.partition()].end = message.offset()
                        open_.discard(message.partition())
        finally:
            consumer.close()
        return shown

    def group(self, name):
        """(state, [client ids of the members]) of a consumer group."""
        found = self.admin.list_groups(name, timeout=10)
        if not found:
            return "Dead", []
        return found[0].state, [member.client_id for member in found[0].members]

    def group_names(self):
        """The names of all groups, and one more; None while the coordinator of a new broker is busy."""
        try:
            return ["", *(group.id for group in self.admin.list_groups(timeout=10))]
        except KafkaException as e:
            assert e.args[0].code() == KafkaError.COORDINATOR_LOAD_IN_PROGRESS, e
            return None

    def committed(self, group, topic):
        """{partition: offset} that the group committed to Kafka; without those never committed."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": group, **CLIENT})
        try:
            asked = [TopicPartition(topic, p) for p in range(self.partitions(topic))]
            return {t.partition: t.offset for t in consumer.committed(asked, timeout=10) if t.offset >= 0}
        finally:
            consumer.close()

    def delete_records(self, name, before):
        """Deletes what lies below {partition: offset}, as retention does."""
        for p, offset in before.items():
            self._delete_records(name, p, offset)

    def leader_address(self, _name, _partition):
        """(host, port) of the broker that leads a partition."""
        host, port = self.bootstrap.split(":")
        return host, int(port)

    def _delete_records(self, name, partition, before):
        """
        The Python client of Debian 12 has no such call, so the request (DeleteRecords, version 1) is
        written by hand.
        """
        body = struct.pack(">i", 1) + _string(name) + struct.pack(">i", 1) + struct.pack(">iq", partition, before)
        body += struct.pack(">i", 10000)
        request = struct.pack(">hhi", 21, 1, 1) + _string("kit") + body
        with socket.create_connection(self.leader_address(name, partition), 15) as s:
            s.sendall(struct.pack(">i", len(request)) + request)
            (length,) = struct.unpack(">i", s.recv(4, socket.MSG_WAITALL))
            answer = s.recv(length, socket.MSG_WAITALL)
        at = 4 + 4 + 4 + 2 + len(name) + 4  # correlation id, throttle time, one topic, its name, one partition
        _, low, error = struct.unpack_from(">iqh", answer, at)
        assert error == 0, f"DeleteRecords of {name}-{partition}: error {error}"
        assert low == before


class Broker(Server, Administration):
    def __init__(self, root: Path):
        ports = {listener: process.free_port() for listener in ("direct", "behind", "controller")}
        self.bootstrap = f"127.0.0.1:{ports['direct']}"
        self.proxy = Proxy(("127.0.0.1", ports["behind"]))
        self.proxied = f"127.0.0.1:{self.proxy.port}"
        settings = SETTINGS.format(proxy=self.proxy.port, **ports) + COMMON.format(copies=1)
        super().__init__(root / "kafka", settings)

    @contextlib.contextmanager
    def quota(self, client="pgsinkd", **limits):
        """A quota for the clients of that id; Debian's Python client cannot set one."""
        names = ",".join(limits)
        self._configure_client(client, "--add-config", ",".join(f"{k}={v}" for k, v in limits.items()))
        try:
            yield
        finally:
            self._configure_client(client, "--delete-config", names)

    def _configure_client(self, client, *change):
        argv = ["--bootstrap-server", self.bootstrap, "--alter", "--entity-type", "clients", "--entity-name", client]
        done = subprocess.run(program("kafka.admin.ConfigCommand", *argv, *change), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self, ready=True):
        self.spawn()
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self):
        wait.until(self._answers, f"Kafka to answer; its log is {self.log}", timeout=60, interval=0.1)

    def _answers(self):
        self.assert_running()
        host, port = self.bootstrap.split(":")
        try:
            socket.create_connection((host, int(port)), 1).close()
            return self.admin.list_topics(timeout=2).brokers
        except Exception:  # noqa: BLE001 - whatever it is, it does not answer yet
            return False

    def revive(self):
        """Lets it run and answer, whatever was done to it before."""
        if not self.running:
            self.start()
        self.thaw()

    @contextlib.contextmanager
    def replaced(self):
        """Another cluster answers on the same ports, new and empty; after that, this one again."""
        self.stop()
        own = self.data.rename(self.root / "replaced")
        self.format().start()
        try:
            yield self
        finally:
            self.kill()
            shutil.rmtree(self.data)
            own.rename(self.data)
            self.start()

    def destroy(self):
        if self.popen is not None:
            self.kill()
        self.proxy.close()
        shutil.rmtree(self.root, ignore_errors=True)


# Options of the kit's own clients: quiet, and back soon after a broker restart.
CLIENT = {"log_level": 0, "reconnect.backoff.max.ms": 300, "socket.timeout.ms": 10000}

# And of the one that reads a topic again: an empty fetch, which reports the end of a partition, does not wait.
READER = {
    "group.id": "kit",
    "isolation.level": "read_committed",
    "enable.partition.eof": True,
    "enable.auto.commit": False,
    "fetch.wait.max.ms": 5,
}


def _string(text):
    return struct.pack(">h", len(text)) + text.encode()
