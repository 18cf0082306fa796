"""Speak MCP and own the world: configuration, keys, transports, the command. Stands on `routing`."""

VERSION = "0.1.0"
