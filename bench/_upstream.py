"""An upstream for `bench.context`: sixteen resources of a few kilobytes, on the SDK's own server."""

import sys

from mcp.server.mcpserver import MCPServer

WORDS = [
    "heron",
    "osprey",
    "nest",
    "colony",
    "river",
    "delta",
    "winter",
    "migration",
    "feather",
    "tide",
    "marsh",
    "reed",
    "wader",
    "census",
    "ring",
    "report",
]


def page(name: str, number: int) -> str:
    said = (f"{name} {WORDS[(number * 7 + i * 3) % 16]} {WORDS[(number + i) % 16]} in year {i}." for i in range(120))
    return "\n\n".join(said)


def add(server: MCPServer, name: str, number: int) -> None:
    @server.resource(f"bench://{name}/{WORDS[number]}", name=WORDS[number])
    def read() -> str:
        return page(name, number)


def main(name: str) -> None:
    server = MCPServer(name)
    for number in range(len(WORDS)):
        add(server, name, number)
    server.run()


main(sys.argv[1])
