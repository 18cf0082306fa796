"""OpenAI's words on the outside, an `Ask` on the inside: bodies in, answers, events and errors out.

`doors/` mounts what is here. Nothing here routes, pays or remembers: that is the manager's, as for the MCP tools.
"""
