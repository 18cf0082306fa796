"""Plenum as an OAuth resource server, end to end: a real MCP client, a real authorization server, real signatures."""

import time
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import httpx2
import jwt
import pytest
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

from server.config import ConfigFault
from server.config.load import Folders, load
from tests.server.http.wire import ask, modern
from tests.server.security.authority import Authority, authority
from tests.server.security.homes import Home, home

pytestmark = pytest.mark.anyio
BY_URL = '[http]\nissuer = "{issuer}"\naudience = "http://127.0.0.1:{port}/mcp"\n'
BY_NAME = '[http]\nissuer = "{issuer}"\naudience = "api://plenum"\n'


def configured(text: str, issuer: str) -> str:
    return text.replace("{issuer}", issuer)


@asynccontextmanager
async def both(folder: Path, text: str = BY_URL, path: str = "", **more):
    async with authority(path, **more) as authorizer, home(folder, configured(text, authorizer.issuer)) as house:
        yield authorizer, house


def audience(house: Home) -> str:
    return f"http://127.0.0.1:{house.port}/mcp"


class Memory:
    """What a host keeps of an authorization."""

    tokens = client_info = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens) -> None:
        self.tokens = tokens

    async def get_client_info(self):
        return self.client_info

    async def set_client_info(self, client_info) -> None:
        self.client_info = client_info


def person(house: Home, memory: Memory) -> OAuthClientProvider:
    """The SDK's own client, with a browser that says yes at once."""
    landed: list[str] = []

    async def browse(url: str) -> None:
        async with httpx2.AsyncClient(follow_redirects=False) as browser:
            landed.append((await browser.get(url)).headers["location"])

    async def returned() -> AuthorizationCodeResult:
        query = parse_qs(urlsplit(landed[-1]).query)
        return AuthorizationCodeResult(code=query["code"][0], state=query["state"][0], iss=query["iss"][0])

    about = OAuthClientMetadata(redirect_uris=["http://127.0.0.1:1/callback"], client_name="test")
    return OAuthClientProvider(audience(house), about, memory, browse, returned)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize(
    ("algorithm", "described_at", "path"),
    [
        ("RS256", "oauth-authorization-server", ""),
        ("ES256", "openid-configuration", ""),
        ("ES256", "oauth-authorization-server", "/tenant"),
    ],
)
async def test_a_client_that_knows_only_the_url_gets_in(tmp_path: Path, mode, algorithm, described_at, path) -> None:
    more = {"algorithm": algorithm, "described_at": described_at}
    with anyio.fail_after(60):
        async with both(tmp_path, path=path, **more) as (_, house):
            async with httpx2.AsyncClient(auth=person(house, Memory()), timeout=30) as http:
                wire = streamable_http_client(audience(house), http_client=http)
                async with Client(wire, mode=mode, read_timeout_seconds=30) as client:
                    result = await client.call_tool("generate", {"prompt": "Hello", "model": "one/fast"})
            lines = await house.app.store.books.lines(0, 1e12)
    assert not result.is_error and "[simulated]" in result.content[0].text
    assert [line.caller for line in lines] == ["oauth:ann"]


async def test_a_client_that_may_only_look_comes_back_with_more_when_it_is_told_what_it_lacks(tmp_path: Path) -> None:
    memory = Memory()
    with anyio.fail_after(60):
        async with both(tmp_path) as (authorizer, house):
            authorizer.grants, authorizer.always = ("plenum:read",), "plenum:read"
            async with httpx2.AsyncClient(auth=person(house, memory), timeout=30) as http:
                wire = streamable_http_client(audience(house), http_client=http)
                async with Client(wire, read_timeout_seconds=30) as client:
                    assert (await client.list_tools()).tools
                    assert memory.tokens.scope == "plenum:read"
                    authorizer.grants, authorizer.always = ("plenum:read", "plenum:generate"), ""
                    result = await client.call_tool("generate", {"prompt": "Hello", "model": "one/fast"})
    assert not result.is_error
    assert "plenum:generate" in memory.tokens.scope.split()


@pytest.mark.parametrize("path", ["", "/mcp", "/mcp/"])
async def test_the_metadata_names_us_and_the_issuer_and_is_open_to_everybody(tmp_path: Path, path: str) -> None:
    async with both(tmp_path) as (authorizer, house), httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{house.port}/.well-known/oauth-protected-resource{path}")
        assert answer.status_code == 200
        assert answer.json() == {
            "resource": audience(house),
            "authorization_servers": [authorizer.issuer],
            "scopes_supported": ["plenum:read", "plenum:generate", "plenum:admin"],
            "bearer_methods_supported": ["header"],
            "resource_name": "Plenum",
        }


async def test_an_audience_that_is_no_url_is_published_as_where_we_were_found(tmp_path: Path) -> None:
    async with both(tmp_path, BY_NAME) as (authorizer, house), httpx.AsyncClient() as http:
        url = f"http://127.0.0.1:{house.port}/.well-known/oauth-protected-resource/mcp"
        assert (await http.get(url)).json()["resource"] == audience(house)
        good = authorizer.token(aud="api://plenum", scope="plenum:read")
        assert (await house.post(*modern("tools/list"), token=good))[0] == 200


@pytest.mark.parametrize("path", ["/v1", "/mcp/x", "/../mcp", "x"])
async def test_no_metadata_is_published_for_what_is_not_here(tmp_path: Path, path: str) -> None:
    async with both(tmp_path) as (_, house), httpx.AsyncClient() as http:
        url = f"http://127.0.0.1:{house.port}/.well-known/oauth-protected-resource{path}"
        assert (await http.get(url)).status_code == 404


async def test_without_an_issuer_nothing_is_published_and_the_challenge_names_nobody(tmp_path: Path) -> None:
    async with home(tmp_path) as house, httpx.AsyncClient() as http:
        base = f"http://127.0.0.1:{house.port}"
        assert (await http.get(f"{base}/.well-known/oauth-protected-resource/mcp")).status_code == 404
        assert (await http.post(f"{base}/mcp")).headers["www-authenticate"] == 'Bearer realm="plenum"'


async def test_the_challenge_leads_to_the_metadata_on_every_route(tmp_path: Path) -> None:
    async with both(tmp_path) as (_, house), httpx.AsyncClient() as http:
        base = f"http://127.0.0.1:{house.port}"
        for method, path in [("POST", "/mcp"), ("GET", "/v1/models"), ("GET", "/metrics"), ("GET", "/api/costs")]:
            answer = await http.request(method, f"{base}{path}", headers={"Authorization": "Bearer nobody"})
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == (
                f'Bearer error="invalid_token", realm="plenum", scope="plenum:generate", '
                f'resource_metadata="{base}/.well-known/oauth-protected-resource/mcp"'
            )


async def test_a_scope_that_is_missing_is_named_as_the_issuer_knows_it(tmp_path: Path) -> None:
    async with both(tmp_path) as (authorizer, house), httpx.AsyncClient() as http:
        token = authorizer.token(aud=audience(house), scope="plenum:read")
        chat = {"model": "one/fast", "messages": [{"role": "user", "content": "hi"}]}
        url = f"http://127.0.0.1:{house.port}/v1/chat/completions"
        answer = await http.post(url, json=chat, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 403
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
        assert 'scope="plenum:generate", resource_metadata="http://' in answer.headers["www-authenticate"]


REFUSED = {
    "another audience": {"aud": "https://other.example/mcp"},
    "our host, another path": {"aud": "{origin}/other"},
    "our host alone": {"aud": "{origin}"},
    "no audience": {"aud": None},
    "another issuer": {"iss": "https://evil.example"},
    "expired": {"exp": 1},
    "without an end": {"exp": None},
    "not yet": {"nbf": 9_999_999_999},
    "nobody's": {"sub": None},
}


@pytest.mark.parametrize("wrong", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_a_signed_token_that_is_not_for_us_now_is_refused(tmp_path: Path, algorithm, wrong) -> None:
    async with both(tmp_path, algorithm=algorithm) as (authorizer, house):
        said = {"aud": audience(house), "scope": "plenum:generate"}
        assert (await house.post(*modern("tools/list"), token=authorizer.token(**said)))[0] == 200
        origin = audience(house).removesuffix("/mcp")
        filled = {k: v.replace("{origin}", origin) if isinstance(v, str) else v for k, v in wrong.items()}
        assert (await house.post(*ask(), token=authorizer.token(**said | filled)))[0] == 401


async def test_a_token_may_be_meant_for_several_of_whom_we_are_one(tmp_path: Path) -> None:
    async with both(tmp_path) as (authorizer, house):
        token = authorizer.token(aud=["https://other.example", audience(house)], scope="plenum:read")
        assert (await house.post(*modern("tools/list"), token=token))[0] == 200


async def test_no_algorithm_but_the_keys_own_is_believed(tmp_path: Path) -> None:
    """`none`, and the old confusion: the public key used as the secret of an HMAC."""
    async with both(tmp_path) as (authorizer, house):
        good = authorizer.token(aud=audience(house), scope="plenum:generate")
        assert (await house.post(*modern("tools/list"), token=good))[0] == 200
        claims = jwt.decode(good, options={"verify_signature": False})
        kid = jwt.get_unverified_header(good)["kid"]
        unsigned = jwt.encode(claims, None, "none", {"kid": kid})
        public = next(iter(authorizer.keys.values())).public_key()
        confused = _signed_by_public_key(claims, kid, public)
        stranger = Authority(authorizer.issuer).token(aud=audience(house), scope="plenum:generate")
        for forged in (unsigned, confused, stranger, good[:-6] + "AAAAAA"):
            assert (await house.post(*modern("tools/list"), token=forged))[0] == 401


def _signed_by_public_key(claims, kid: str, public) -> str:
    import base64
    import hashlib
    import hmac
    import json

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    body = f"{part(json.dumps({'alg': 'HS256', 'kid': kid}).encode())}.{part(json.dumps(claims).encode())}"
    return f"{body}.{part(hmac.digest(pem, body.encode(), hashlib.sha256))}"


async def test_a_rotated_key_is_found_and_a_withdrawn_one_forgotten(tmp_path: Path) -> None:
    async with both(tmp_path) as (authorizer, house):
        issued, now = house.app.security.issued, [time.monotonic()]
        issued.clock = lambda: now[0]
        said = {"aud": audience(house), "scope": "plenum:read"}
        old = authorizer.token(**said)
        assert (await house.post(*modern("tools/list"), token=old))[0] == 200
        authorizer.rotate(withdraw=True)
        new = authorizer.token(**said)
        assert (await house.post(*modern("tools/list"), token=new))[0] == 401  # it looked a moment ago
        now[0] += 31
        assert (await house.post(*modern("tools/list"), token=new))[0] == 200
        assert (await house.post(*modern("tools/list"), token=old))[0] == 401
        assert authorizer.seen.count("/jwks") == 2


async def test_an_issuer_that_is_gone_for_a_while_locks_nobody_out(tmp_path: Path) -> None:
    async with both(tmp_path) as (authorizer, house):
        issued, now = house.app.security.issued, [time.monotonic()]
        issued.clock = lambda: now[0]
        token = authorizer.token(aud=audience(house), scope="plenum:read", exp=9_999_999_999)
        assert (await house.post(*modern("tools/list"), token=token))[0] == 200

        def down(url: str):
            raise OSError

        issued.load = down
        now[0] += 3 * 3600
        assert (await house.post(*modern("tools/list"), token=token))[0] == 200


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('issuer = "https://id.example"', "audience"),
        ('issuer = "http://id.example"\naudience = "https://plenum.example/mcp"', "https"),
        ('issuer = "https://u:p@id.example"\naudience = "https://plenum.example/mcp"', "https"),
        ('issuer = "id.example"\naudience = "https://plenum.example/mcp"', "https"),
    ],
)
def test_an_issuer_without_audience_or_out_of_the_clear_is_no_configuration(tmp_path: Path, text, says) -> None:
    file = tmp_path / "plenum.toml"
    file.write_text(f"[http]\n{text}\n")
    with pytest.raises(ConfigFault, match=says):
        load(file, {}, Folders(tmp_path, tmp_path))
