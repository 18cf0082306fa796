"""What other MCP servers know, put before a prompt: chosen for it, within a budget, fenced as data.

`service.Contexts` is a step between replay and cache. Below it: `upstreams` (who is configured), `connection` (one of
them, kept usable), `catalogue` (what is taken), `shelf` (what was fetched), `ranking`, `packing`, `fence`. An upstream
may be hostile: it can lose its own place, and change nothing else.
"""
