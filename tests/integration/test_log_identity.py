"""The log must still be the same log: topics that are created again, truncated logs, other clusters."""

import re

import pytest

from kit import daemon, wait

OTHER = r"another log|above the log|created again|truncated"
SIZES = pytest.mark.parametrize("records", [50, 100, 150], ids=["fewer", "as-many", "more"])


def stored(bench, partitions=2, **changes):
    """100 records of each partition are stored: (log, config, running daemon)."""
    log = bench.topic(partitions=partitions)
    bench.plain_table()
    log.fill(100 * partitions)
    config = bench.config(log, **changes)
    d = bench.start(config)
    bench.wait_stored(log)
    return log, config, d


def wait_errors(d, count):
    wait.until(lambda: len(d.lines("error")) >= count, f"{count} errors")
    wait.stays(lambda: d.running and len(d.lines("error")) == count, "one error each", 1)


def librdkafka():
    """The version of the library under the daemon: what it reports and knows differs."""
    return tuple(map(int, re.search(r"librdkafka (\d+)\.(\d+)", daemon.command("version").stdout).groups()))


def knows_topic_ids():
    return librdkafka() >= (2, 3)


def reports_truncation():
    return librdkafka() >= (2, 4)  # with the epochs that it is given from then on


# ---- a topic of the same name ----


@pytest.mark.quick
@pytest.mark.sanitize
@pytest.mark.system
@SIZES
@pytest.mark.parametrize("policy", ["stop", "earliest", "latest"])
def test_created_again_while_it_was_down(bench, records, policy):
    """Where ids of topics are not known nobody can say which log it is: whatever on_gap says, it stops."""
    log, config, d = stored(bench, kafka={"on_gap": policy})
    d.terminate()
    log.recreate()
    log.fill(2 * records)
    if knows_topic_ids() and policy != "stop":
        to = 0 if policy == "earliest" else records
        bench.start(config)
        wait.until(lambda: bench.value("SELECT count(*) FROM pgsinkd.gaps") == 2, "the gaps")
        assert bench.sql("SELECT DISTINCT reason FROM pgsinkd.gaps") == [
            (f"the topic was created again; the log held offsets 0 to {records}",)
        ]
        log.fill(20)
        bench.wait_stored(log)
        bench.check(log, gaps={0: [(100, to)], 1: [(100, to)]})
        return
    d = bench.start(config, ready=False).allow(OTHER)
    wait_errors(d, 2)
    assert "seek('" in d.log()
    bench.check(log, stops={0: 0, 1: 0}, held={0, 1})


@pytest.mark.system
@SIZES
@pytest.mark.parametrize("at_once", [False, True], ids=["slowly", "at-once"])
def test_created_again_while_it_runs(bench, records, at_once):
    log, config, d = stored(bench)
    d.allow(OTHER)
    log.recreate(at_once=at_once)
    log.fill(2 * records)
    wait_errors(d, 2)
    bench.check(log, stops={0: 0, 1: 0}, held={0, 1})


@pytest.mark.system
def test_the_new_log_is_accepted_by_seek(bench):
    log, config, d = stored(bench)
    d.terminate()
    log.recreate()
    log.fill(300)
    d = bench.start(config, ready=False).allow(OTHER)
    wait_errors(d, 2)
    bench.sql("SELECT pgsinkd.seek(%s, %s, 1, 0)", bench.sink, log.topic)
    bench.wait_stored(log, ends={1: 150})
    d.terminate()
    d = bench.start(config, ready=False).allow(OTHER)
    wait_errors(d, 1)
    bench.check(log, stops={0: 0}, held={0})


@pytest.mark.system
def test_the_new_log_is_accepted_by_update(bench):
    log, config, d = stored(bench)
    d.terminate()
    log.recreate()
    log.fill(300)
    bench.sql("UPDATE pgsinkd.offsets SET next_offset = 0 WHERE sink = %s", bench.sink)
    bench.start(config)
    bench.wait_stored(log)
    bench.check(log)


# ---- no false alarm ----


def test_the_last_record_is_compacted_away(bench):
    log = bench.topic(
        partitions=1, cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.001,
        min_compaction_lag_ms=0, delete_retention_ms=100,
    )  # fmt: skip
    bench.plain_table()
    log.send_many([(0, b"same", b'{"id": %d, "note": "a"}' % n, None, None) for n in range(100)])
    config = bench.config(log)
    d = bench.start(config)
    bench.wait_stored(log)
    d.terminate()

    def compacted():
        log.send_many([(0, b"same", b'{"id": 0, "note": "roll"}', None, None)])
        return min(bench.kafka.visible(log.topic)[0]) > 99

    wait.until(compacted, "the fingerprint's record to be gone", timeout=60, interval=0.3)
    bench.kafka.configure_topic(log.topic, cleanup_policy="delete")
    seen = bench.kafka.visible(log.topic)[0]
    log.records = {0: {o: r for o, r in log.records[0].items() if o < 100 or o in seen}}
    bench.drain(config)
    bench.check(log)


def test_the_last_record_is_deleted_by_retention(bench):
    log, config, d = stored(bench, partitions=1)
    d.terminate()
    bench.kafka.delete_records(log.topic, {0: 100})
    log.fill(100)
    bench.drain(config)
    bench.check(log)


def test_what_follows_the_last_record_are_markers_and_aborted_records(bench):
    log = bench.topic(partitions=1)
    bench.plain_table()
    tx = bench.transactions(log)
    tx.begin()
    tx.fill(50)
    tx.commit()
    tx.begin()
    tx.fill(50)
    tx.abort()
    config = bench.config(log)
    for _ in range(2):
        bench.drain(config)
    fp_offset, next_offset = bench.sql("SELECT fp_offset, next_offset FROM pgsinkd.offsets")[0]
    assert (fp_offset, next_offset) == (49, 102)
    log.fill(10)
    bench.drain(config)
    bench.check(log)


def test_the_fingerprint_lies_too_far_back(bench):
    """More than 10,000 offsets: they are not fetched only to be compared."""
    log = bench.topic(partitions=1)
    bench.plain_table()
    log.fill(10)
    config = bench.config(log)
    bench.drain(config)
    tx = bench.transactions(log)
    tx.begin()
    tx.fill(11_000)
    tx.abort()
    bench.drain(config)
    assert bench.sql("SELECT fp_offset, next_offset FROM pgsinkd.offsets") == [(9, 11_011)]
    log.fill(10)
    bench.drain(config)
    bench.check(log)


@pytest.mark.sanitize
@pytest.mark.parametrize("protocol", ["roundrobin", "cooperative-sticky"])
def test_other_brokers_lead_the_partitions(cluster_bench, protocol):
    """A clean change of leaders: each partition's log is verified, and found to be the same."""
    bench, cluster = cluster_bench, cluster_bench.kafka
    log = bench.topic(partitions=6)
    bench.plain_table()
    log.fill(6000)
    d = bench.start(bench.config(log, properties={"partition.assignment.strategy": protocol}))
    bench.wait_stored(log)
    for number in list(cluster.nodes):
        cluster.nodes[number].stop()
        log.fill(600)
        bench.wait_stored(log)
        cluster.start(number)
        for p in log.partitions:  # or the next broker to stop is the last one that has the whole log
            cluster.wait_in_sync(log.topic, cluster.partition(log.topic, p).replicas, p)
        log.fill(600)
        bench.wait_stored(log)
    assert d.running
    bench.check(log)


@pytest.mark.system
def test_an_eager_member_starts_again_under_a_newer_epoch(cluster_bench):
    """A partition that is fetched again because another one starts has read on under a newer leader epoch."""
    bench, cluster = cluster_bench, cluster_bench.kafka
    log, config, d = stored(bench)
    d.terminate()
    d = bench.start(config)
    for n in (200, 300):
        leader = cluster.leader(log.topic, 0)
        cluster.nodes[leader].stop()
        log.fill(200)
        bench.wait_stored(log)
        cluster.start(leader)
        bench.sql("SELECT pgsinkd.seek(%s, %s, 1, %s)", bench.sink, log.topic, n)
        cluster.wait_in_sync(log.topic, cluster.partition(log.topic, 0).replicas, 0)
    log.fill(200)
    bench.wait_stored(log)
    bench.check(log)


def test_a_partition_without_a_leader_holds_up_nobody(cluster_bench):
    bench, cluster = cluster_bench, cluster_bench.kafka
    log = bench.topic(partitions=6, replication_factor=1)
    bench.plain_table()
    log.fill(600)
    config = bench.config(log)
    d = bench.start(config)
    bench.wait_stored(log)
    dead = cluster.leader(log.topic, 0)
    well = [p for p in log.partitions if cluster.leader(log.topic, p) != dead]
    d.terminate()
    cluster.nodes[dead].kill()


    def is_without_leader():
        found = cluster.partition(log.topic, 0)
        return found and found.leader < 0

    wait.until(is_without_leader, "the partition to be without a leader")
    log.connect()
    log.fill(len(well), partitions=well)
    d = bench.start(config)
    bench.wait_stored(log, ends=dict.fromkeys(well, 101))
    assert "cannot be reached" not in d.log()
    cluster.start(dead)
    log.connect()
    log.fill(6)
    bench.wait_stored(log)
    bench.check(log)


def test_a_slow_network(bench):
    """To connect and to read one record takes longer than one question may."""
    log = bench.topic(partitions=2)
    bench.plain_table()
    log.fill(200)
    config = bench.config(log, kafka={"brokers": bench.kafka.proxied})
    bench.drain(config)
    log.fill(20)
    bench.kafka.proxy.delay = 0.3
    bench.start(config, ready=False)
    bench.wait_stored(log, timeout=60)
    bench.kafka.proxy.delay = 0
    bench.check(log)


# ---- ids ----


@pytest.mark.system
def test_ids_are_written_down(bench):
    log, config, d = stored(bench)
    wait.until(lambda: bench.value("SELECT count(cluster_id) FROM pgsinkd.partitions") == 2, "the ids")
    assert bench.value("SELECT count(DISTINCT cluster_id) FROM pgsinkd.partitions") == 1
    assert bench.value("SELECT count(topic_id) FROM pgsinkd.partitions") == (2 if knows_topic_ids() else 0)
    bench.check(log)


@pytest.mark.system
def test_a_migrated_cluster_keeps_its_offsets(bench):
    """Another id, the same records: the fingerprint decides, and the new ids are noted."""
    log, config, d = stored(bench)
    d.terminate()
    before = bench.value("SELECT min(cluster_id) FROM pgsinkd.partitions")
    bench.sql("UPDATE pgsinkd.partitions SET cluster_id = 'the former one'")
    d = bench.start(config)
    log.fill(100)
    bench.wait_stored(log)
    assert len([text for text in d.lines("notice") if "the same records are there" in text]) == 2
    assert bench.sql("SELECT DISTINCT cluster_id FROM pgsinkd.partitions") == [(before,)]
    bench.check(log)


def test_ids_decide_where_no_record_can(bench):
    log, config, d = stored(bench)
    d.terminate()
    bench.sql("UPDATE pgsinkd.partitions SET cluster_id = 'the former one'")
    bench.sql("UPDATE pgsinkd.offsets SET fp_offset = NULL, fp_crc = NULL WHERE partition = 1")
    log.fill(100)
    d = bench.start(config).allow("cluster 'the former one'")
    bench.wait_stored(log, ends={0: 150})
    wait_errors(d, 1)
    bench.check(log, stops={1: 100})


@pytest.mark.system
@pytest.mark.parametrize("policy", ["stop", "earliest", "latest"])
def test_another_cluster_under_the_same_name(own_bench, policy):
    """While it was down the address has come to lead to another cluster, with a topic of the same name."""
    bench = own_bench
    log, config, d = stored(bench, kafka={"on_gap": policy})
    d.terminate()
    with bench.kafka.replaced():
        log.recreate()
        log.fill(400)
        d = bench.start(config, ready=False).allow("belongs to cluster")
        wait_errors(d, 2)
        bench.check(log, stops={0: 0, 1: 0}, held={0, 1})


def test_another_cluster_takes_over_while_it_runs(own_bench):
    bench = own_bench
    log, config, d = stored(bench)
    d.allow("belongs to cluster", OTHER, "kafka: ")
    with bench.kafka.replaced():
        log.recreate()
        log.fill(400)
        wait.until(lambda: len([text for text in d.lines("error") if log.topic in text]) == 2, "an error each", 60)
        bench.check(log, stops={0: 0, 1: 0}, held={0, 1})


# ---- truncation ----


@pytest.mark.system
def test_the_log_was_truncated_while_it_was_down(cluster_bench):
    """An unclean election has lost records that were stored, and others took their offsets."""
    bench, cluster = cluster_bench, cluster_bench.kafka
    log, config, d = stored(bench, partitions=1)
    cluster.lose_tail(log, 10, meanwhile=lambda: (bench.wait_stored(log), d.terminate()))
    log.fill(40)
    d = bench.start(config, ready=False).allow(OTHER)
    wait_errors(d, 1)
    bench.check(log, stops={0: 100}, held={0})


def test_the_log_is_truncated_while_nothing_is_read(cluster_bench):
    """Since its start no record has said which broker leads the partition."""
    bench, cluster = cluster_bench, cluster_bench.kafka
    log, config, d = stored(bench, partitions=1)

    def start_again():
        bench.wait_stored(log)
        d.terminate()
        bench.start(config).allow(OTHER)

    cluster.lose_tail(log, 10, meanwhile=start_again)
    log.fill(40)
    d = bench.daemons[-1]
    wait.until(lambda: d.lines("error"), "the error", timeout=60)
    bench.check(log, stops={0: 100}, held={0})


def test_a_partition_stops_while_its_log_is_in_doubt(cluster_bench):
    """PostgreSQL refuses a record that was on its way; the others must start all the same."""
    bench, cluster = cluster_bench, cluster_bench.kafka
    log, config, d = stored(bench)
    bench.sql("ALTER TABLE events ADD CHECK (note <> 'bad')")
    leader = cluster.leader(log.topic, 0)
    with bench.postgres.connect(bench.database) as other, other.transaction():
        other.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        bad = log.send_json(0, id=7, note="bad")
        wait.until(lambda: bench.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), "the batch to wait")
        cluster.nodes[leader].kill()
        wait.until(lambda: cluster.leader(log.topic, 0) != leader, "another leader", timeout=60)
        log.connect()
        log.fill(1, partitions=[0])
        wait.until(lambda: "reading again" in d.log(), "the doubt", timeout=60)
    d.allow("23514")
    wait.until(lambda: d.lines("error"), "the error")
    cluster.start(leader)
    log.connect()
    log.fill(20, partitions=[1])
    bench.wait_stored(log, ends={1: 120}, timeout=60)
    bench.check(log, stops={0: bad.offset})


@pytest.mark.system
@pytest.mark.parametrize("policy", ["stop", "earliest"])
def test_the_log_is_truncated_while_it_runs(cluster_bench, policy):
    bench, cluster = cluster_bench, cluster_bench.kafka
    log, config, d = stored(bench, partitions=1, kafka={"on_gap": policy})
    d.allow(OTHER)
    cut = cluster.lose_tail(log, 10, meanwhile=lambda: bench.wait_stored(log))
    log.fill(40)
    if reports_truncation() and policy == "earliest":
        bench.wait_stored(log, timeout=60)
        bench.check(log, gaps={0: [(cut + 10, cut)]})
        return
    wait.until(lambda: d.lines("error"), "the error", timeout=60)
    assert d.running
    bench.check(log, stops={0: 100}, held={0})
