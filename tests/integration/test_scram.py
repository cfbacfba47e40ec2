"""SASL SCRAM with Kafka 3.9, the last version with which every supported librdkafka can do it: before 2.6.1 it sends a
nonce that Kafka 4 does not take, see test_secure.py for what is said there.
"""

import re
import tempfile
from pathlib import Path

import pytest

from kit.kafka import JARS_3
from kit.records import Log
from kit.secure import SecureBroker

pytestmark = [pytest.mark.system, pytest.mark.slow]

WRONG = "no-such-word-77"


class OldBroker(SecureBroker):
    JARS = JARS_3


@pytest.fixture(scope="module")
def shared_secure(root):
    broker = OldBroker(Path(tempfile.mkdtemp(prefix="old-", dir=root))).format().start()
    yield broker
    broker.destroy()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_stores_with(secure_bench, mechanism):
    kafka = secure_bench.kafka
    log = secure_bench.topic(partitions=2)
    secure_bench.plain_table()
    log.fill(100)
    config = secure_bench.config(log, kafka={"brokers": kafka.at("SASL")}, properties=kafka.login(mechanism))
    secure_bench.drain(config)
    secure_bench.check(log)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_wrong_password_of(secure_bench, mechanism):
    kafka = secure_bench.kafka
    log = Log(kafka, "nothing", 1)
    secure_bench.plain_table()
    config = secure_bench.config(log, kafka={"brokers": kafka.at("SASL")}, properties=kafka.login(mechanism, password=WRONG))
    done = secure_bench.command("check", config)
    assert done.returncode == 5, done.stdout + done.stderr
    why = r"(SASL authentication error: )?Authentication failed.*"
    assert re.search(rf"^kafka: brokers cannot be reached \({kafka.at('SASL')}: {why}\)$", done.stderr, re.M), done.stderr
    assert re.search(r"^HINT: .*heck sasl\.username and sasl\.password", done.stderr, re.M), done.stderr
    assert WRONG not in done.stdout + done.stderr
