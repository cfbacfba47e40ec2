"""What all Python tests share: the path to the kit, and one PostgreSQL and one Kafka per run.

Three more kinds of Kafka, and a schema registry (shared_apicurio), are started for the first test of a file that asks for
them, and end with the file, since idle ones cost CPU: a broker that can be replaced by another cluster (own_kafka, own_bench), a cluster of three brokers
(cluster, cluster_bench), and a broker that wants TLS and logins (secure, secure_bench; see kit/secure.py).
"""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from kit.apicurio import Apicurio  # noqa: E402
from kit.bench import Bench  # noqa: E402
from kit.cluster import Cluster  # noqa: E402
from kit.kafka import Broker  # noqa: E402
from kit.late import Lateness  # noqa: E402
from kit.postgres import Postgres  # noqa: E402
from kit.secure import SecureBroker  # noqa: E402

KEEP = bool(os.environ.get("PGSINKD_TEST_KEEP"))  # leave the files of the run behind


def pytest_configure(config):
    path = os.environ.get("PGSINKD_TEST_LATE")
    if path and "PYTEST_XDIST_WORKER" not in os.environ:
        config.pluginmanager.register(Lateness(path))


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
def pytest_collection_modifyitems(items):
    """A test that is marked quick is so with the first of its parameters only."""
    seen = set()
    for item in items:
        if item.get_closest_marker("quick"):
            if item.function in seen:
                item.own_markers = [mark for mark in item.own_markers if mark.name != "quick"]
            seen.add(item.function)


@pytest.fixture(scope="session")
def root():
    """The directory of this run; the server user can reach it."""
    path = Path(tempfile.mkdtemp(prefix="pgsinkd-test-"))
    path.chmod(0o755)
    yield path
    if KEEP:
        print(f"\nfiles of the run: {path}")
    else:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def shared_postgres(root):
    server = Postgres(root).initdb().start()
    yield server
    server.stop("immediate") if KEEP else server.destroy()


def lent(kafka):
    """A broker or cluster, and its end after the last test that has it."""
    yield kafka
    kafka.kill() if KEEP else kafka.destroy()


@pytest.fixture(scope="session")
def shared_kafka(root):
    yield from lent(Broker(root).format().start())


@pytest.fixture
def postgres(shared_postgres):
    """The shared PostgreSQL, running whatever the test before did to it."""
    if shared_postgres.popen is None or shared_postgres.popen.poll() is not None:
        shared_postgres.start()
    return shared_postgres


@pytest.fixture
def kafka(shared_kafka):
    """The shared broker, running whatever the test before did to it."""
    shared_kafka.revive()
    shared_kafka.proxy.heal()
    return shared_kafka


@pytest.fixture(scope="module")
def shared_own_kafka(root):
    yield from lent(Broker(Path(tempfile.mkdtemp(prefix="own-", dir=root))).format().start())


@pytest.fixture
def own_kafka(shared_own_kafka):
    """A broker whose cluster a test may replace, see Broker.replaced()."""
    shared_own_kafka.revive()
    return shared_own_kafka


@pytest.fixture(scope="module")
def shared_cluster(root):
    yield from lent(Cluster(Path(tempfile.mkdtemp(prefix="cluster-", dir=root))).format().revive())


@pytest.fixture
def cluster(shared_cluster):
    """Three brokers, all running whatever the test before did to them."""
    return shared_cluster.revive()


@pytest.fixture(scope="module")
def shared_secure(root):
    yield from lent(SecureBroker(Path(tempfile.mkdtemp(prefix="secure-", dir=root))).format().start())


@pytest.fixture
def secure(shared_secure):
    """A broker with TLS, logins and ACLs, running whatever the test before did to it."""
    shared_secure.revive()
    return shared_secure


@pytest.fixture(scope="module")
def shared_apicurio(root):
    server = Apicurio(Path(tempfile.mkdtemp(prefix="registry-", dir=root))).start()
    yield server
    server.destroy()


def bench_of(request, root, postgres, kafka):
    """Everything one test needs, see kit/bench.py. After the test the daemons' logs are searched."""
    name = re.sub(r"\W+", "-", request.node.name.removeprefix("test_"))[:40]  # socket paths must be short
    b = Bench(Path(tempfile.mkdtemp(prefix=f"{name}-", dir=root)), postgres, kafka)
    yield b
    print(b.state())
    print(b.logs())
    faults = b.close()
    if faults:
        pytest.fail("the daemon's log shows what it must not:\n" + "\n".join(faults), pytrace=False)


@pytest.fixture
def bench(request, root, postgres, kafka):
    """A bench on the shared servers."""
    yield from bench_of(request, root, postgres, kafka)


@pytest.fixture
def own_bench(request, root, postgres, own_kafka):
    """A bench on a broker that may be replaced."""
    yield from bench_of(request, root, postgres, own_kafka)


@pytest.fixture
def cluster_bench(request, root, postgres, cluster):
    """A bench on three brokers."""
    yield from bench_of(request, root, postgres, cluster)


@pytest.fixture
def secure_bench(request, root, postgres, secure):
    """A bench on a broker that wants TLS and logins on its other listeners."""
    yield from bench_of(request, root, postgres, secure)
