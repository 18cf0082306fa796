"""Models in this process: the user's own GGUF files through llama.cpp (the extra `local`, package xllamacpp).

No HTTP is spoken: requests and answers are openai_chat's, handed over in memory. llama.cpp opens a port on loopback
all the same, so it gets a random key. A file is loaded when first asked for, in a thread.
"""

import json
import math
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import import_module
from secrets import token_hex
from types import TracebackType
from typing import Any, Self

import anyio
from anyio import from_thread, to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from .dialects import Dialect, Fold, load
from .errors import BadRequest, ModelNotFound, ProviderError, Truncated
from .types import Answer, Delta, ModelCard, Request, Stream

_ALONE: Mapping[str, str] = {}


class LocalModels:
    """A `Provider` of GGUF files: `paths` by model id. Enter it before use; leaving it unloads everything.

    `slots` answers are made at once, the rest wait. `threads` are CPU threads of one model, llama.cpp's choice if None.
    """

    def __init__(
        self, paths: Mapping[str, str], card: Callable[[str], ModelCard], *, slots: int = 2, threads: int | None = None
    ) -> None:
        self._paths = dict(paths)
        self._card = card
        self._slots = slots
        self._threads = threads
        self._dialect = load("openai_chat")
        self._servers: dict[str, Any] = {}
        self._loading = anyio.Lock()
        self._room = anyio.CapacityLimiter(slots)
        self._work = anyio.create_task_group()
        self._closing = threading.Event()

    async def __aenter__(self) -> Self:
        await self._work.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._closing.set()
        try:
            return await self._work.__aexit__(kind, error, trace)
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self._servers.clear)  # llama.cpp joins its threads

    @asynccontextmanager
    async def open(self, request: Request, model: str) -> AsyncGenerator[Stream]:
        """Ask the model of this id. Raises ModelNotFound where there is no such file, or none that loads."""
        server = await self._server(model)
        card = self._card(model)
        call = self._dialect.render(request, card, stream=True)
        send, receive = anyio.create_memory_object_stream[Any](math.inf)
        left = threading.Event()
        self._work.start_soon(self._drive, server, dict(call.body or {}), send, left)
        try:
            yield _LocalStream(receive, self._dialect, self._dialect.fold(card), call.warnings)
        finally:
            left.set()  # llama.cpp looks after every token
            receive.close()

    async def _server(self, model: str) -> Any:
        async with self._loading:
            if model not in self._servers:
                if model not in self._paths:
                    raise ModelNotFound(f"No local file is configured for {model}.")
                self._servers[model] = await to_thread.run_sync(self._load, model)
            return self._servers[model]

    def _load(self, model: str) -> Any:
        try:
            llama: Any = import_module("xllamacpp")  # without types of its own
        except ImportError:
            raise ModelNotFound("Models in this process need the extra `local`: install plenum-mcp[local].") from None
        params = llama.CommonParams()
        params.model.path = self._paths[model]
        params.model_alias = {model}  # answers would carry the path of the file
        params.api_keys = [token_hex(32)]
        params.n_ctx = self._card(model).context_window
        params.n_parallel = self._slots
        params.kv_unified = True
        params.warmup = False
        params.ui = False
        params.verbosity = 0
        if self._threads is not None:
            params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self._threads
        try:
            return llama.Server(params)
        except RuntimeError:
            raise ModelNotFound(f"The local file of {model} could not be loaded as a GGUF model.") from None

    async def _drive(
        self, server: Any, body: dict[str, Any], send: MemoryObjectSendStream[Any], left: threading.Event
    ) -> None:
        def offer(chunk: Any) -> bool:
            """Hand a chunk to the loop; True stops llama.cpp."""
            if left.is_set() or self._closing.is_set():
                return True
            from_thread.run_sync(_offer, send, chunk)
            return False

        def work() -> None:
            try:
                rest = server.handle_chat_completions(body, offer)
            except (ValueError, RuntimeError):
                offer({"error": {"code": 400}})
            else:
                if rest is not None:
                    offer(rest)

        with send:
            await to_thread.run_sync(work, limiter=self._room)


def _offer(send: MemoryObjectSendStream[Any], chunk: Any) -> None:
    try:
        send.send_nowait(chunk)
    except anyio.BrokenResourceError:
        return  # the reader left: the next look at `left` stops the work


class _LocalStream:
    """An answer on its way out of llama.cpp's threads."""

    def __init__(
        self, receive: MemoryObjectReceiveStream[Any], dialect: Dialect, fold: Fold, warnings: tuple[str, ...]
    ) -> None:
        self._receive = receive
        self._dialect = dialect
        self._fold = fold
        self._warnings = warnings
        self._ready: list[Delta] = []

    @property
    def headers(self) -> Mapping[str, str]:
        """There are none."""
        return _ALONE

    @property
    def answer(self) -> Answer:
        """What stands so far."""
        answer = self._fold.answer()
        return replace(answer, warnings=self._warnings + answer.warnings) if self._warnings else answer

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delta:
        while not self._ready:
            try:
                chunk = await self._receive.receive()
            except anyio.EndOfStream:
                if self.answer.finish_reason is None:
                    raise Truncated("The local model stopped without a finish reason.") from None
                raise StopAsyncIteration from None
            self._ready = self._read(chunk)
        return self._ready.pop(0)

    def _read(self, chunk: Any) -> list[Delta]:
        if "error" in chunk:
            raise self._refused(chunk["error"])
        return list(self._fold.event("", json.dumps(chunk).encode()))

    def _refused(self, error: Any) -> ProviderError:
        status = error.get("code", 500)
        if status == 400 and "type" not in error:
            return BadRequest("The local model refused the request.", status=400)
        return self._dialect.error(status, _ALONE, json.dumps({"error": error}).encode())
