"""A stdio client of bare lines: what a real client library would smooth over is what these tests look at."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

HOUSE = [sys.executable, str(Path(__file__).with_name("household.py"))]
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
CLIENT = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "lines", "version": "1"}}
INIT: list[dict[str, Any]] = [
    {"jsonrpc": "2.0", "id": "init", "method": "initialize", "params": CLIENT},
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
]


def scenario(**models: dict[str, Any]) -> dict[str, str]:
    """An environment in which the simulated models behave like this."""
    return {**os.environ, "SCENARIO": json.dumps({"models": models})}


SLOW = scenario(fast={"latency_s": 30.0})


def request(id: Any, method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def call(id: Any, prompt: str = "Hello", *, modern: bool = False, **arguments: Any) -> dict[str, Any]:
    meta = {"_meta": META} if modern else {}
    return request(id, "tools/call", name="generate", arguments={"prompt": prompt, **arguments}, **meta)


def packed(*messages: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def piped(data: bytes, env: dict[str, str] | None = None, timeout: float = 60) -> list[dict[str, Any]]:
    """`printf … | plenum serve`: every line it answered."""
    done = subprocess.run(HOUSE, input=data, capture_output=True, env=env, timeout=timeout)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def by_id(replies: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    return {reply.get("id"): reply for reply in replies}


class Talk:
    """A running server and the lines exchanged with it."""

    def __init__(self, env: dict[str, str] | None = None, command: list[str] = HOUSE) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, env=env, **pipes)
        self._watchdog = threading.Timer(120, self.process.kill)  # a test that hangs fails instead
        self._watchdog.start()
        self._replies: dict[Any, dict[str, Any]] = {}

    def __enter__(self) -> "Talk":
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.cancel()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()

    def send(self, *messages: dict[str, Any] | bytes) -> None:
        for message in messages:
            self.process.stdin.write(message if isinstance(message, bytes) else packed(message))
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        assert line, "the server closed its output: " + self.process.stderr.read().decode()
        return json.loads(line)

    def until(self, id: Any) -> dict[str, Any]:
        """The reply to `id`; notifications before it are passed over, other replies kept."""
        while id not in self._replies:
            message = self.read()
            if "method" not in message:
                self._replies[message.get("id")] = message
        return self._replies.pop(id)

    def ends(self, timeout: float = 6) -> tuple[int, str]:
        """Its exit status and what it logged."""
        status = self.process.wait(timeout)
        return status, self.process.stderr.read().decode()
