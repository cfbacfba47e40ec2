"""An Apache Kafka cluster of our own: three brokers and a controller apart from them, so that a broker may die.

    log = bench.topic()                   # two copies, unless it says replication_factor=
    cluster.nodes[cluster.leader(log.topic)].kill()
    cluster.lose_tail(log, 10, meanwhile=lambda: bench.wait_stored(log))

A node has kill(), stop(), freeze() and thaw() as a broker has; start(n) starts it again.
"""

import contextlib
import shutil
from pathlib import Path

from confluent_kafka import KafkaException

from kit import process, wait
from kit.kafka import COMMON, Administration, Server

CONTROLLER = 100
BROKERS = (1, 2, 3)

CONTROLLER_SETTINGS = """\
process.roles=controller
node.id={id}
controller.quorum.voters={id}@127.0.0.1:{controller}
listeners=CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT
"""
BROKER_SETTINGS = """\
process.roles=broker
node.id={id}
controller.quorum.voters={quorum}@127.0.0.1:{controller}
listeners=DIRECT://127.0.0.1:{port}
listener.security.protocol.map=DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=DIRECT
controller.listener.names=CONTROLLER
replica.fetch.wait.max.ms=100
replica.fetch.backoff.ms=100
"""


class Node(Server):
    """One process of the cluster. It is formatted by a copy of what the controller's storage directory says."""

    HEAP = "256m"

    def __init__(self, root, number, settings):
        super().__init__(root / f"node{number}", settings + COMMON.format(copies=len(BROKERS)))
        self.number = number

    def join(self, controller):
        """Writes the storage directory of another node of the controller's cluster."""
        self.data.mkdir()
        said = dict(
            line.split("=", 1) for line in (controller.data / "meta.properties").read_text().splitlines() if "=" in line
        )
        (self.data / "meta.properties").write_text(
            f"version={said['version']}\ncluster.id={said['cluster.id']}\nnode.id={self.number}\n"
        )

    def revive(self):
        """Lets it run, whatever was done to it before."""
        if self.running:
            self.thaw()
        else:
            self.spawn()


class Cluster(Administration):
    COPIES = 2  # so that one broker is left when both that have a partition are down

    def __init__(self, root: Path):
        self.root = root
        port = process.free_port()
        self.controller = Node(self.root, CONTROLLER, CONTROLLER_SETTINGS.format(id=CONTROLLER, controller=port))
        self.ports = {n: process.free_port() for n in BROKERS}
        self.nodes = {
            n: Node(self.root, n, BROKER_SETTINGS.format(id=n, quorum=CONTROLLER, controller=port, port=self.ports[n]))
            for n in BROKERS
        }
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port in self.ports.values())

    # Life

    def format(self):
        self.controller.format()
        for node in self.nodes.values():
            node.join(self.controller)
        return self

    def revive(self):
        """Lets all nodes run and answer, whatever was done to them before."""
        for node in (self.controller, *self.nodes.values()):
            node.revive()
        self.wait_nodes(BROKERS)
        return self

    def start(self, number):
        """Starts a node again, and waits until the cluster knows it."""
        self.nodes[number].spawn()
        self.wait_nodes([number])

    def wait_nodes(self, numbers):
        """Waits until the cluster has these brokers, among others."""

        def there():
            for node in (self.controller, *(self.nodes[n] for n in numbers)):
                node.assert_running()
            with contextlib.suppress(KafkaException):
                return set(numbers) <= self.admin.list_topics(timeout=2).brokers.keys()

        wait.until(there, f"brokers {numbers} of the cluster in {self.root}", timeout=100, interval=0.1)

    def kill(self):
        for node in (*self.nodes.values(), self.controller):
            if node.running:
                node.kill()

    def destroy(self):
        self.kill()
        shutil.rmtree(self.root, ignore_errors=True)

    # Who has what

    def partition(self, topic, partition=0):
        """What the cluster says of a partition: .leader (-1: none), .replicas, .isrs; None while it does not answer."""
        with contextlib.suppress(KafkaException, KeyError):
            return self.admin.list_topics(topic, timeout=2).topics[topic].partitions[partition]

    def leader(self, topic, partition=0):
        """The node that leads a partition, as soon as there is one."""

        def known():
            found = self.partition(topic, partition)
            return found and found.leader > 0 and found.leader

        return wait.until(known, f"a leader of {topic}-{partition}")

    def leader_address(self, topic, partition):
        return "127.0.0.1", self.ports[self.leader(topic, partition)]

    def wait_in_sync(self, topic, numbers, partition=0):
        """Waits until these nodes, and no others, are in sync with a partition's leader, who is one of them."""

        def so():
            found = self.partition(topic, partition)
            return found and found.leader in numbers and sorted(found.isrs) == sorted(numbers)

        wait.until(so, f"{numbers} to be in sync with {topic}-{partition}")

    # An unclean election

    def lose_tail(self, log, lost, partition=0, meanwhile=lambda: None):
        """An unclean election, after which the log lacks its last `lost` records; the offset at which it was cut.

        The followers die; the leader alone takes `lost` numbered records; meanwhile(), in which a test waits until
        they are read; the leader dies; and a follower that never had them is started and elected. The former leader
        and the other followers stay down. The records that the log gets next take the offsets of the lost ones.
        Replaces the topic's configuration. Nothing may be written to other partitions meanwhile.
        """
        self.configure_topic(log.topic, unclean_leader_election_enable="true", min_insync_replicas="1")
        replicas = self.partition(log.topic, partition).replicas
        self.wait_in_sync(log.topic, replicas, partition)
        leader = self.leader(log.topic, partition)
        followers = [n for n in replicas if n != leader]
        for n in followers:
            self.nodes[n].kill()
        self.wait_in_sync(log.topic, [leader], partition)
        cut = min(record.offset for record in log.fill(lost, partitions=[partition]))
        meanwhile()
        self.nodes[leader].kill()
        self.start(followers[0])
        self.wait_in_sync(log.topic, followers[:1], partition)
        log.truncate_at({partition: cut})
        return cut
