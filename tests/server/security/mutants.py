"""Every row of the threat table with its defence taken away: the row's test must then fail (guide §8.1–8.3).

A pytest plug-in: `PLENUM_MUTANT=name pytest -p tests.server.security.mutants TEST`. `test_threats.py` runs them all.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

HERE = "tests/server/security"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A defence taken away: whose absence `test` must notice."""

    threat: str
    test: str
    remove: Callable[[], None]


def put(path: str, value: Any) -> None:
    """Set `module:attribute.path` to `value`."""
    name, _, attributes = path.partition(":")
    target: Any = import_module(name)
    *steps, last = attributes.split(".")
    for step in steps:
        target = getattr(target, step)
    setattr(target, last, value)


def taken(path: str) -> Any:
    """What stands there."""
    name, _, attributes = path.partition(":")
    target: Any = import_module(name)
    for step in attributes.split("."):
        target = getattr(target, step)
    return target


def setting(path: str, value: Any) -> Callable[[], None]:
    """A mutant that replaces one thing by another."""
    return lambda: put(path, value)


async def _same(self: Any, ask: Any) -> Any:
    return ask


def _inbound_as_key() -> None:
    class Passing:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            from server.security.carried import carried

            sent = next((v.decode() for k, v in scope.get("headers", ()) if k == b"authorization"), "")
            token = carried.set({"personal": sent.removeprefix("Bearer ")})
            try:
                await self.app(scope, receive, send)
            finally:
                carried.reset(token)

    put("server.http.app:Carrying", Passing)


def _token_check(**less: Any) -> Callable[[], None]:
    """Decode without some of the checks."""

    def remove() -> None:
        import jwt

        inner = jwt.decode

        def decode(token: str, key: Any, **said: Any) -> Any:
            options = {**said.pop("options"), **{k: v for k, v in less.items() if k.startswith(("verify", "require"))}}
            for name, option in (("verify_aud", "audience"), ("verify_iss", "issuer")):
                if options.get(name) is False:
                    said.pop(option, None)
            return inner(token, key, **said, options=options)

        put("server.security.oauth:jwt.decode", decode)

    return remove


def _any_key() -> None:
    inner = taken("server.security.oauth:Issuer.known")

    async def known(self: Any, token: str) -> Any:
        import jwt

        found = await inner(self, token)
        if found is not None:
            return found
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            return None
        return taken("server.security.oauth:_known")(claims)

    put("server.security.oauth:Issuer.known", known)


def _prefix_host() -> None:
    def knows(self: Any, value: str | None) -> bool:
        return value is not None and value.startswith(("localhost", "127.0.0.1"))

    put("server.http.guard:Address.knows_host", knows)


def _archive_for_all() -> None:
    inner = taken("routing.store.sqlite.archive:SqliteArchive.read")

    async def read(self: Any, id: str, caller: str) -> Any:
        return await inner(self, id, caller) or await inner(self, id, "ann")

    put("routing.store.sqlite.archive:SqliteArchive.read", read)


def _follow() -> None:
    import aiohttp

    inner = aiohttp.ClientSession._request

    async def request(self: Any, *words: Any, **more: Any) -> Any:
        return await inner(self, *words, **{**more, "allow_redirects": True})

    aiohttp.ClientSession._request = request


def _resolve_twice() -> None:
    inner = taken("server.security.fetching:_Pinned.__init__")

    def init(self: Any, host: str, port: int, address: str, tls: Any) -> None:
        inner(self, host, port, "127.0.0.2", tls)  # as a second look-up of a name that rebinds would say

    put("server.security.fetching:_Pinned.__init__", init)


def _no_budget() -> None:
    inner = taken("routing.store.sqlite.ledger:reserve")
    put(
        "routing.store.sqlite.ledger:reserve",
        lambda db, sums, owner, entry, limits: inner(db, sums, owner, entry, lambda *_: ()),
    )


def _bare_fence() -> None:
    def enclosed(excerpt: Any, secret: bytes) -> str:
        return f"<<<DATA 1>>>\n{excerpt.text}\n<<<END 1>>>"

    put("server.context.fence:_enclosed", enclosed)


def _whole_environment() -> None:
    put("server.context.process:get_default_environment", lambda: dict(os.environ))


def _no_origin() -> None:
    def context(self: Any) -> bytes:
        return b"v1"

    put("server.security.box:Address.context", property(context))


def _open_streams() -> None:
    async def several(self: Any) -> Any:
        return await self._live.several()

    put("server.security.veil:VeiledStream.several", several)


def _any_vault() -> None:
    put("server.security.files:_insist", lambda path, found: None)


def _any_cost() -> None:
    field = import_module("server.security.locks").Kdf.model_fields
    for name in ("memory_kib", "passes", "lanes"):
        field[name].metadata.clear()
    import_module("server.security.locks").Kdf.model_rebuild(force=True)


def _no_fallback_key() -> None:
    put("server.security.brought:_own", lambda deployment: deployment)


def _every_command() -> None:
    put("server.cli.serve:_tokens", lambda loaded, host: (("http", "x"),))


def _nobody() -> None:
    from server.http.guard import Principal

    async def everybody(self: Any, scope: Any, token: str | None) -> Any:
        return Principal("anybody")

    put("server.http.guard:Tokens.__call__", everybody)


MUTANTS: dict[str, Mutant] = {
    "inbound token passed on": Mutant(
        "confused deputy, token passthrough", f"{HERE}/test_borders.py::test_the_inbound_token_never_leaves", _inbound_as_key
    ),
    "any audience": Mutant(
        "a token for somebody else",
        f"{HERE}/test_oauth_flow.py::test_a_signed_token_that_is_not_for_us_now_is_refused",
        _token_check(verify_aud=False, require=["exp", "iss", "sub"]),
    ),
    "any issuer": Mutant(
        "a token for somebody else",
        f"{HERE}/test_oauth_flow.py::test_a_signed_token_that_is_not_for_us_now_is_refused",
        _token_check(verify_iss=False, require=["exp", "aud", "sub"]),
    ),
    "any expiry": Mutant(
        "a token for somebody else",
        f"{HERE}/test_oauth_flow.py::test_a_signed_token_that_is_not_for_us_now_is_refused",
        _token_check(verify_exp=False, require=["iss", "aud", "sub"]),
    ),
    "any signature": Mutant(
        "a token nobody issued", f"{HERE}/test_oauth_flow.py::test_no_algorithm_but_the_keys_own_is_believed", _any_key
    ),
    "every scope is enough": Mutant(
        "scopes",
        f"{HERE}/test_borders.py::test_scopes_reach_as_far_as_they_say",
        setting("server.http.scopes:REACH", {s: ("admin", "generate", "read") for s in ("read", "generate", "admin", "none")}),
    ),
    "hosts by prefix": Mutant(
        "DNS rebinding",
        "tests/server/http/test_http_server.py::test_what_is_wrong_is_refused_before_any_tool_runs",
        _prefix_host,
    ),
    "every origin": Mutant(
        "DNS rebinding",
        "tests/server/http/test_http_server.py::test_what_is_wrong_is_refused_before_any_tool_runs",
        setting("server.http.guard:Address.knows_origin", lambda self, value: True),
    ),
    "no token needed": Mutant(
        "local server abuse",
        f"{HERE}/test_borders.py::test_nobody_elses_token_opens",
        _nobody,
    ),
    "off loopback without tokens": Mutant(
        "local server abuse", f"{HERE}/test_principals.py::test_nobody_serves_off_loopback_without_tokens", _every_command
    ),
    "answers for whoever has the id": Mutant(
        "handles are not authentication", f"{HERE}/test_principals.py::test_no_resource_tells_one_caller_of_another", _archive_for_all
    ),
    "conversations for whoever has the id": Mutant(
        "handles are not authentication", f"{HERE}/test_principals.py::test_no_tool_gives_one_caller_what_is_anothers", _archive_for_all
    ),
    "costs of all for all": Mutant(
        "over-broad resources",
        f"{HERE}/test_principals.py::test_no_resource_tells_one_caller_of_another",
        setting("server.callers:bounded", lambda principal: None),
    ),
    "every address is public": Mutant(
        "SSRF by picture URLs",
        f"{HERE}/test_images.py::test_an_inside_address_is_never_connected_to",
        setting("server.security.fetching:public", lambda address: True),
    ),
    "connect to another address than was checked": Mutant(
        "rebinding of a picture's host", f"{HERE}/test_images.py::test_a_name_that_rebinds_is_resolved_once_only", _resolve_twice
    ),
    "redirects are followed": Mutant(
        "a key taken elsewhere by a redirect", "tests/providers/test_http_faults.py::test_a_redirect_takes_no_key_elsewhere", _follow
    ),
    "any schema": Mutant(
        "`$ref` and deep schemas",
        f"{HERE}/test_sanitiser.py::test_hostile_schemas_are_refused_and_nothing_is_fetched",
        setting("server.security.sanitiser:modest", lambda schema: None),
    ),
    "a fence anybody can close": Mutant(
        "injection from context", "tests/server/context/test_injections.py", _bare_fence
    ),
    "hidden characters pass": Mutant(
        "injection from context",
        "tests/server/context/test_injections.py",
        setting("server.context.documents:_unseen", lambda char: False),
    ),
    "changed definitions are taken": Mutant(
        "rug pull",
        "tests/server/context/test_context_step.py::test_a_changed_definition_is_not_used_until_it_is_approved",
        setting("server.context.pins:Pins.changed", lambda self, upstream, definitions: ()),
    ),
    "children get our environment": Mutant(
        "stdio child commands",
        "tests/server/context/test_upstream_faults.py::test_children_get_a_depth_and_their_own_entrys_environment_only",
        _whole_environment,
    ),
    "no budget": Mutant("denial of wallet", f"{HERE}/test_wallet.py", _no_budget),
    "loops pass unremarked": Mutant(
        "denial of wallet",
        f"{HERE}/test_borders.py::test_a_question_asked_again_and_again_is_remarked_upon",
        setting("server.security.tokens:Borders._watched", lambda self, ask: ask),
    ),
    "no rate of a caller": Mutant(
        "rates of others",
        f"{HERE}/test_borders.py::test_a_callers_budget_and_rate_hold_for_it_alone",
        setting("server.security.tokens:Borders._pace", lambda self, caller, rpm: None),
    ),
    "every model for every token": Mutant(
        "models of others",
        f"{HERE}/test_allowed_models.py",
        setting("server.security.tokens:Borders.allowed", _same),
    ),
    "keys in logs": Mutant(
        "log leakage",
        f"{HERE}/test_redaction.py::test_every_logger_is_safe_whatever_its_handler",
        setting("server.security.redaction:Redactor.text", lambda self, text: text),
    ),
    "keys echoed in streams": Mutant(
        "keys echoed by a provider", f"{HERE}/test_veil.py::test_no_door_of_v1_tells_a_key_its_provider_echoes", _open_streams
    ),
    "keys echoed in answers": Mutant(
        "keys echoed by a provider",
        f"{HERE}/test_veil.py",
        setting("server.security.veil:cleaned", lambda redactor, answer: answer),
    ),
    "secrets in prompts pass": Mutant(
        "secrets in prompts",
        f"{HERE}/test_prompt_secrets.py::test_a_secret_is_replaced_before_any_provider_sees_it",
        setting("server.security.sanitiser:Sanitiser._without_secrets", lambda self, policy, notes, text: text),
    ),
    "one endpoint for all brought keys": Mutant(
        "one caller's key for another",
        f"{HERE}/test_borders.py::test_a_brought_key_is_used_for_its_request_alone_and_kept_nowhere",
        _no_fallback_key,
    ),
    "a box opens anywhere": Mutant(
        "a stolen or edited vault", f"{HERE}/test_vault.py::test_an_entry_moved_to_another_place_does_not_open", _no_origin
    ),
    "a vault others can read": Mutant(
        "a stolen or edited vault", f"{HERE}/test_vault.py::test_a_file_others_can_read_is_refused", _any_vault
    ),
    "any cost of derivation": Mutant(
        "a forged vault header", f"{HERE}/test_locks.py::test_a_forged_header_cannot_ask_for_a_gigantic_derivation", _any_cost
    ),
    "a chain of nothing": Mutant(
        "an edited audit log",
        f"{HERE}/test_audit.py::test_whatever_is_changed_taken_out_or_swapped_is_noticed",
        setting("routing.store.audit:chained", lambda before, number, happening: b"0" * 32),
    ),
    "code that starts by itself": Mutant(
        "code that starts by itself",
        f"{HERE}/test_environment.py::test_what_starts_by_itself_is_told",
        setting("server.security.environment:_runs", lambda file: False),
    ),
}  # fmt: skip


def pytest_configure(config: Any) -> None:
    """Take the defence away, before any test is collected."""
    del config
    name = os.environ["PLENUM_MUTANT"]
    if name:
        MUTANTS[name].remove()
