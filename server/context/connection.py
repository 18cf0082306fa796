"""One upstream, kept usable: a task of its own, reconnection with jittered backoff, a deadline on every call.

The SDK's client must be entered and left in one task, and a broken transport cancels that task; so callers borrow the
client from theirs (guide mcp-sdk §11). Failing calls in a row end the connection: the backoff is the breaker.
"""

import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal, TypeVar, cast

import anyio
from mcp import Client, MCPError
from mcp.client.client import ConnectMode
from mcp.client.session import MessageHandlerFnT

from .process import Streams

State = Literal["connecting", "ready", "failed"]
Dial = Callable[[], AbstractAsyncContextManager[Streams]]
T = TypeVar("T")

CONNECT_S = 30.0  # nobody waits for it: a first `npx` or `uvx` installs before it speaks
CALL_S = 10.0
BACKOFF_S = (1.0, 60.0)
FAILURES = 3  # calls in a row that end a connection
GONE = -32000  # the SDK's code for a connection that ended
FORGOTTEN = ("Session not found", "Session terminated")


class Unavailable(Exception):
    """The upstream cannot be asked now. The text is ours and may be shown."""


class Connection:
    """`run` it in a task group; `use` it from anywhere."""

    def __init__(
        self,
        dial: Dial,
        *,
        mode: ConnectMode = "auto",
        heard: MessageHandlerFnT | None = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.state: State = "connecting"
        self.error = ""
        self.protocol = ""
        self.epoch = 0  # counts connections made and lost: what failed in another epoch may be tried again
        self._dial, self._mode, self._heard = dial, mode, heard
        self._sleep, self._draw = sleep, draw
        self._client: Client | None = None
        self._settled = anyio.Event()  # the first attempt to connect has ended, either way
        self._scope = anyio.CancelScope()
        self._failures = 0
        self._delay = BACKOFF_S[0]

    async def run(self) -> None:
        """Connect, stay connected, connect again; until cancelled."""
        while True:
            try:
                await self._live()
            except Exception as fault:  # noqa: BLE001 - whatever an upstream does, it ends here
                self._failed(fault)
            await self._sleep(self._delay * (0.5 + self._draw() / 2))
            self._delay = min(self._delay * 2, BACKOFF_S[1])

    async def settled(self) -> None:
        """Wait until the first attempt to connect has ended, either way."""
        await self._settled.wait()

    async def use(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """What `work` makes of the client, within its deadline. Raises Unavailable."""
        await self._settled.wait()
        client = self._client
        if client is None:
            raise Unavailable(self.error or "it is not connected")
        try:
            with anyio.fail_after(CALL_S):
                found = await work(client)
        except Exception as fault:  # noqa: BLE001 - a hostile answer breaks in as many ways as there are parsers
            raise self._fault(client, fault) from None
        self._failures, self._delay = 0, BACKOFF_S[0]
        return found

    async def _live(self) -> None:
        # A group of its own: what the client's transport does to "its" task stays in this frame.
        async with anyio.create_task_group() as tasks:
            self._scope = tasks.cancel_scope
            try:
                with anyio.fail_after(CONNECT_S) as limit:
                    async with self._entered() as client:
                        limit.deadline = float("inf")
                        self._client, self.state, self.error = client, "ready", ""
                        self.epoch += 1
                        self.protocol = client.protocol_version
                        self._settled.set()
                        await anyio.sleep_forever()
            finally:
                self._client = None
        raise Unavailable(self.error or "it ended the connection")

    def _entered(self) -> Client:
        # No cache of the SDK's: the shelf is ours, with our times. No callbacks: sampling and questions are refused.
        return Client(
            self._dial(), mode=self._mode, read_timeout_seconds=CALL_S, message_handler=self._heard, cache=None
        )

    def _failed(self, fault: BaseException) -> None:
        self.state, self.error = "failed", words(fault)
        self.epoch += 1
        self._settled.set()

    def _fault(self, client: Client, fault: Exception) -> Exception:
        """Count it; a connection that is gone or useless is let go of at once. What leaves is ours to show."""
        if isinstance(fault, Unavailable):
            return fault
        self._failures += 1
        gone = isinstance(fault, MCPError) and (fault.error.code == GONE or fault.error.message in FORGOTTEN)
        if gone or self._failures >= FAILURES:
            self._drop(client, words(fault))
        return Unavailable(words(fault))

    def _drop(self, client: Client, why: str) -> None:
        if self._client is client:
            self._client, self.state, self.error, self._failures = None, "failed", why, 0
            self._scope.cancel()


# By name where the type lives in a library only some upstreams need.
_WORDS = {
    "FileNotFoundError": "its program was not found",
    "PermissionError": "its program was not found, or may not be run",  # EACCES of any folder of PATH hides the rest
    "TimeoutError": "it did not answer in time",
    "ValidationError": "it answered what MCP does not allow",
    "ConnectError": "it could not be reached",
    "ConnectTimeout": "it could not be reached",
    "ReadTimeout": "it did not answer in time",
    "Flooded": "it sent more than anybody reads",
}


def words(fault: BaseException) -> str:
    """A fault in words of ours: no path, no address, nothing an upstream or a library wrote."""
    leaves = _leaves(fault)
    for leaf in leaves:
        if isinstance(leaf, Unavailable):
            return str(leaf)
        if isinstance(leaf, MCPError):
            return "the connection ended" if leaf.error.code == GONE else f"it answered with error {leaf.error.code}"
        if (known := _WORDS.get(type(leaf).__name__)) is not None:
            return known
    return f"it failed ({type(leaves[0]).__name__})"


def _leaves(fault: BaseException) -> list[BaseException]:
    if isinstance(fault, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", fault)
        return [leaf for each in group.exceptions for leaf in _leaves(each)]
    return [fault]
