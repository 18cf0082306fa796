"""What stands beside `/mcp`: each file has `routes(house) -> Sequence[BaseRoute]` and is found by itself.

Behind the guard: `request.scope["plenum.principal"]` is who calls (`server.http.guard.Principal`), and `await house.app()`
the open app. Only `/healthz`, `/readyz` and `/.well-known/*` are open to everybody.
"""
