"""A local upstream for the benchmarks: an asyncio protocol that sends prepared bytes, in a process of its own."""

import asyncio
import multiprocessing
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager


class Posts(asyncio.Protocol, ABC):
    """Calls `answer` with the body, without its spaces, of every POST."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.buffer = transport, bytearray()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.buffer[:end]).lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            if len(self.buffer) < end + 4 + length:
                return
            body = bytes(self.buffer[end + 4 : end + 4 + length]).replace(b" ", b"")
            del self.buffer[: end + 4 + length]
            self.answer(body)

    @abstractmethod
    def answer(self, body: bytes) -> None:
        """Write the answer to this body."""


@contextmanager
def upstream(protocol: type[Posts]) -> Generator[str]:
    """Its base URL while the block runs."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, protocol), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/v1"
    finally:
        process.terminate()
        process.join()


def _serve(pipe, protocol: type[Posts]) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())
