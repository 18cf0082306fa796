"""Where a person can hand in a provider's key: a page on loopback, opened when a call needs it (`server.http.keypage`)."""

import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import anyio
import anyio.abc

Keep = Callable[[str, str], Awaitable[None]]  # provider, key; raises ValueError in words for the person


@dataclass(eq=False)
class Page:
    """One page, for one key. `id` names it without opening it; `given` is set once a key is stored."""

    provider: str
    port: int
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    ticket: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    form: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    opened: bool = False
    given: anyio.Event = field(default_factory=anyio.Event)

    @property
    def url(self) -> str:
        """Where to go, once."""
        return f"http://127.0.0.1:{self.port}/{self.ticket}"


class KeyDesk:
    """Opens pages, one at a time: while one is open, who asks again is sent to the same."""

    def __init__(self, tasks: anyio.abc.TaskGroup, providers: Callable[[], Sequence[str]], keep: Keep) -> None:
        self._tasks, self._providers, self._keep = tasks, providers, keep
        self._page: Page | None = None

    def page(self, provider: str = "") -> Page:
        """The page that is open, else a new one. Raises OSError."""
        if self._page is None:
            listening = socket.create_server(("127.0.0.1", 0))
            self._page = Page(provider, listening.getsockname()[1])
            self._tasks.start_soon(self._serve, self._page, listening)
        return self._page

    async def _serve(self, page: Page, listening: socket.socket) -> None:
        from server.http.keypage import serve  # brings uvicorn along, which hardly anybody needs here

        try:
            await serve(page, listening, self._providers(), self._keep)
        finally:
            self._page = None
