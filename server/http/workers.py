"""Several processes on one port. They share the socket, and the key that seals what one asked and another is answered."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

RESTART_S = 1.0  # between the death of a worker and its successor
END_S = 40.0  # a little more than the workers take for their last calls
REST_S = 0.0003  # a sleeping process is awake by then, and if there is none that could take it nobody notices
STATE_KEY, SOCKET_FD, LIFE_FD = "PLENUM_STATE_KEY", "PLENUM_SOCKET_FD", "PLENUM_LIFE_FD"


def supervise(
    listening: socket.socket,
    workers: int,
    command: Sequence[str],
    environment: Mapping[str, str],
    fds: Sequence[int] = (),
) -> None:
    """Keep `workers` processes of `command` on one socket until SIGTERM or SIGINT; the kernel spreads the connections.

    `fds` are open files that every worker inherits too.
    """
    fd = listening.fileno()
    key = environment.get(STATE_KEY) or secrets.token_hex(32)
    life, _alive = os.pipe()  # we alone hold the writing end: workers read its end when we die, however we die
    shared = {**environment, SOCKET_FD: str(fd), LIFE_FD: str(life), STATE_KEY: key}
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda sig, _: stop.append(sig))

    def start() -> "subprocess.Popen[bytes]":
        # The command is ours: this interpreter and this package.
        return subprocess.Popen(command, env=shared, pass_fds=(fd, life, *fds), stdin=subprocess.DEVNULL)  # noqa: S603

    running = [start() for _ in range(workers)]
    while not stop:
        time.sleep(0.1)
        running = [worker if worker.poll() is None or stop else _again(worker, start) for worker in running]
    for worker in running:
        worker.terminate()
    for worker in running:
        worker.wait(END_S)


def _again(
    worker: "subprocess.Popen[bytes]", start: "Callable[[], subprocess.Popen[bytes]]"
) -> "subprocess.Popen[bytes]":
    sys.stderr.write(f"worker {worker.pid} ended with {worker.returncode}; starting another\n")
    time.sleep(RESTART_S)
    return start()


class Shared(socket.socket):
    """A listening socket of several processes. Who took a connection leaves the next ones to the others for a moment.

    asyncio takes all that wait at once, so of a burst one process would get everything, and keep it.
    """

    clock: Callable[[], float] = staticmethod(time.monotonic)
    _rests_until = 0.0

    def accept(self) -> tuple[socket.socket, Any]:
        """A connection; none while it is somebody else's turn."""
        if self.clock() < self._rests_until:
            raise BlockingIOError
        found = super().accept()
        self._rests_until = self.clock() + REST_S
        return found


def inherited(environment: Mapping[str, str]) -> socket.socket | None:
    """The socket a supervisor passed to this process."""
    fd = environment.get(SOCKET_FD)
    return Shared(fileno=os.dup(int(fd))) if fd else None


def end_with_supervisor(environment: Mapping[str, str]) -> None:
    """In a worker: when the supervisor is gone, SIGKILL included, end as on SIGTERM. Calls in flight finish."""
    if not (fd := environment.get(LIFE_FD)):
        return

    def wait() -> None:
        while os.read(int(fd), 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="supervisor's life", daemon=True).start()
