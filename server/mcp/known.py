"""Tools and prompts by name: what nobody has is a protocol error that tells the nearest; a prompt's gaps are named.

The SDK answers an unknown prompt, or one without its arguments, as an internal error.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from mcp import MCPError
from mcp.server.mcpserver import MCPServer
from mcp.types import INVALID_PARAMS

from server.complaints import near


class Known:
    """What `server` has. Read once: tools and prompts are as long as the process."""

    def __init__(self, server: MCPServer[Any]) -> None:
        self._server = server
        self._tools: Sequence[str] = ()
        self._prompts: Mapping[str, Sequence[str]] = {}  # → its required arguments

    async def check(self, method: str, params: Mapping[str, Any]) -> None:
        """Raise MCPError where this call can only fail. Other methods, and malformed calls, are left to the SDK."""
        name = params.get("name")
        if isinstance(name, str) and method == "tools/call":
            self._tools = self._tools or [tool.name for tool in await self._server.list_tools()]
            _found("tool", name, self._tools)
        elif isinstance(name, str) and method == "prompts/get":
            await self._prompt(name, params.get("arguments"))

    async def _prompt(self, name: str, given: Any) -> None:
        if not self._prompts:
            listed = await self._server.list_prompts()
            self._prompts = {p.name: [a.name for a in p.arguments or () if a.required] for p in listed}
        _found("prompt", name, list(self._prompts))
        said = cast("Mapping[str, Any]", given) if isinstance(given, Mapping) else dict[str, Any]()
        missing = [each for each in self._prompts[name] if each not in said]
        if missing:
            needs = " and ".join(f"`{each}`" for each in missing)
            raise MCPError(INVALID_PARAMS, f"The prompt `{name}` needs {needs} among its `arguments`.")


def _found(kind: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise MCPError(INVALID_PARAMS, f"There is no {kind} `{name[:64]}`{near(name, names)}.")
