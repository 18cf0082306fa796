"""The command. `plenum` with stdin not a terminal, or a plain `plenum serve`, takes the short way: no typer, no rich.

Late imports here are on purpose: a host waits for the first answer, and everything heavy can wait for the first call.
"""

import gc
import os
import sys


def main() -> None:
    """Run the command line and exit with its status (contract §1)."""
    gc.disable()  # 550 pydantic classes are born at import; collecting among them costs 0.2-0.4 s (guide mcp-sdk §12)
    from server.security.process import harden

    harden(os.environ)
    argv = sys.argv[1:]
    if not argv and not sys.stdin.isatty():
        argv = ["serve"]
    from server.serve import short, short_way

    if (plain := short(argv)) is not None:
        short_way(plain[0], demo=plain[1])
        return
    from server.cli import run

    gc.enable()
    sys.exit(run(argv))


if __name__ == "__main__":
    main()
