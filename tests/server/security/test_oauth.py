"""Access tokens of an issuer: only for us, only by it, only signed, only while valid."""

import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from server.config.values import issuer_url
from server.security.oauth import Issuer
from server.security.security import Known

pytestmark = pytest.mark.anyio
ISS, AUD = "https://id.example", "https://plenum.example/mcp"


@pytest.fixture(scope="module")
def private():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def issuer(private):
    looks = []

    def load(url: str):
        looks.append(url)
        if url.endswith("openid-configuration"):
            return {"issuer": ISS, "jwks_uri": f"{ISS}/keys"}
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key()))
        return {"keys": [{**public, "kid": "k1", "use": "sig"}, {"kty": "oct", "k": "c2VjcmV0", "kid": "k2"}]}

    found = Issuer(ISS, AUD, load)
    return found, looks


def token(private, kid: str = "k1", algorithm: str = "RS256", key=None, **claims) -> str:
    now = int(time.time())
    said = {"iss": ISS, "aud": AUD, "sub": "ann", "exp": now + 60, "scope": "plenum:generate other", **claims}
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(said, key or private, algorithm, {"kid": kid})


async def test_a_good_token_tells_name_and_scopes(issuer, private) -> None:
    assert await issuer[0].known(token(private)) == Known("oauth:ann", ("generate",))


async def test_without_scopes_of_ours_nothing_is_allowed(issuer, private) -> None:
    assert (await issuer[0].known(token(private, scope="email"))).scopes == ("none",)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example"},
        {"aud": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"exp": 1},
        {"exp": None},
        {"nbf": 9_999_999_999},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 200},
    ],
)
async def test_a_token_for_another_by_another_or_of_another_time_is_nobodys(issuer, private, claims) -> None:
    assert await issuer[0].known(token(private, **claims)) is None


async def test_a_signature_must_be_the_issuers(issuer, private) -> None:
    other = rsa.generate_private_key(65537, 2048)
    assert await issuer[0].known(token(private, key=other)) is None
    assert await issuer[0].known(token(private, kid="unknown")) is None
    head, body, _ = token(private).split(".")
    unsigned = jwt.encode({"alg": "none"}, None, algorithm="none").split(".")[0]
    assert await issuer[0].known(f"{unsigned}.{body}.") is None
    assert await issuer[0].known(f"{head}.{body}.AAAA") is None
    assert await issuer[0].known(token(private, kid="k2", algorithm="HS256", key="secret" * 8)) is None


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "." * 5000, "eyJ" * 9000])
async def test_rubbish_is_nobodys(issuer, text: str) -> None:
    assert await issuer[0].known(text) is None


async def test_strangers_key_ids_do_not_make_us_ask_the_issuer_again_and_again(issuer, private) -> None:
    for number in range(20):
        await issuer[0].known(token(private, kid=f"x{number}"))
    assert len(issuer[1]) == 2


async def test_an_issuer_that_is_down_or_lies_lets_nobody_in(private) -> None:
    def down(url: str):
        raise OSError

    assert await Issuer(ISS, AUD, down).known(token(private)) is None
    assert await Issuer(ISS, AUD, lambda url: {"issuer": "https://evil.example"}).known(token(private)) is None
    assert await Issuer(ISS, "", lambda url: {}).known(token(private)) is None


@pytest.mark.parametrize(
    "url", ["http://id.example", "ftp://x", "https://u:p@id.example", "id.example", "https://", "https:///x"]
)
def test_an_issuer_is_reached_by_https(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        issuer_url(url)
