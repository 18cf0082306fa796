"""The command. `plenum` with stdin not a terminal, or a plain `plenum serve`, takes the short way: no typer, no rich.

Late imports here are on purpose: a host waits for the first answer, and everything heavy can wait for the first call.
"""

import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from server.app import App


def main() -> None:
    """Run the command line and exit with its status (contract §1)."""
    gc.disable()  # 550 pydantic classes are born at import; collecting among them costs 0.2-0.4 s (guide mcp-sdk §12)
    argv = sys.argv[1:]
    if not argv and not sys.stdin.isatty():
        argv = ["serve"]
    if argv[:1] == ["serve"] and set(argv[1:]) <= {"--demo"}:
        sys.exit(_serve(demo="--demo" in argv))
    from server.cli import run

    gc.enable()
    sys.exit(run(argv))


def _serve(*, demo: bool) -> int:
    import anyio

    from server.serve import serve_stdio

    def _open() -> "AbstractAsyncContextManager[App]":
        from server.app import opener
        from server.config.world import world

        return opener(world(), demo=demo)()

    gc.enable()
    gc.freeze()
    anyio.run(serve_stdio, _open)
    return 0


if __name__ == "__main__":
    main()
