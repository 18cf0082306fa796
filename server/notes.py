"""A tiny MCP server that gives one file as a resource: the upstream of `plenum demo`. `python -m server.notes FILE`."""

import sys
from pathlib import Path

from mcp.server.mcpserver import MCPServer


def notes(file: Path) -> MCPServer[None]:
    """The server."""
    server: MCPServer[None] = MCPServer("notes", log_level="WARNING")

    @server.resource("notes://release", title="Release notes", description="What ships when", mime_type="text/markdown")
    def release() -> str:  # pyright: ignore[reportUnusedFunction]
        return file.read_text("utf-8")

    return server


if __name__ == "__main__":
    notes(Path(sys.argv[1])).run("stdio")
