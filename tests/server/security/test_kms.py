"""Google Cloud KMS over its HTTP API, against a local server that speaks it."""

import base64
import http.server
import json
import threading

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from server.security.faults import VaultFault
from server.security.kms import SCOPE_HOST, GoogleKms, crc32c, signed

PATH = "/v1/projects/p/locations/l/keyRings/r/cryptoKeys/k"
OPENAI = "openai", "https://api.openai.com"
KEY = "sk-canary-0123456789abcdef"


class FakeKms(http.server.ThreadingHTTPServer):
    """encrypt and decrypt as the API has them: base64, associated data bound, checksums both ways."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.requests: list[dict] = []
        self.damage = ""

    @property
    def name(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{PATH}"

    def answer(self, verb: str, body: dict) -> tuple[int, dict]:
        raw = {k: base64.b64decode(v) for k, v in body.items() if not k.endswith("Crc32c")}
        if any(int(body[f"{k}Crc32c"]) != crc32c(v) for k, v in raw.items()):
            return 400, {}
        if self.damage == "refuse":
            return 403, {"error": {"message": "secret text of theirs"}}
        if verb == "encrypt":
            sealed = json.dumps([base64.b64encode(v).decode() for v in raw.values()]).encode()[::-1]
            checked = self.damage != "unverified"
            return 200, {**self.field("ciphertext", sealed), "verifiedPlaintextCrc32c": checked}
        plain, context = (base64.b64decode(v) for v in json.loads(raw["ciphertext"][::-1]))
        return (200, self.field("plaintext", plain)) if context == raw["additionalAuthenticatedData"] else (400, {})

    def field(self, name: str, value: bytes) -> dict:
        crc = crc32c(value) + (self.damage == "checksum")
        return {name: base64.b64encode(value).decode(), f"{name}Crc32c": str(crc)}


class Answering(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({"path": self.path, "authorization": self.headers["Authorization"], "body": body})
        status, found = self.server.answer(self.path.rpartition(":")[2], body)
        if self.server.damage == "redirect":
            status = 307
        out = json.dumps(found).encode() if self.server.damage != "html" else b"<html>"
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)

    def log_message(self, *_):
        return


@pytest.fixture
def kms():
    server = FakeKms()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_crc32c_is_the_published_one() -> None:
    assert crc32c(b"123456789") == 0xE3069283 and crc32c(b"") == 0


def test_a_data_key_comes_back_for_its_own_context_only(kms) -> None:
    wrap = GoogleKms(kms.name, lambda: "token")
    sealed = wrap.wrap(b"k" * 32, b"context")
    assert wrap.unwrap(sealed, b"context") == b"k" * 32
    with pytest.raises(VaultFault):
        wrap.unwrap(sealed, b"another")
    assert kms.requests[0]["path"] == f"{PATH}:encrypt" and kms.requests[0]["authorization"] == "Bearer token"


@pytest.mark.parametrize("damage", ["refuse", "unverified", "checksum", "redirect", "html"])
def test_an_answer_that_does_not_hold_is_a_fault_without_its_text(kms, damage: str) -> None:
    kms.damage = damage
    with pytest.raises(VaultFault) as caught:
        GoogleKms(kms.name, lambda: "canary-token").wrap(b"k" * 32, b"c")
    assert "secret text" not in str(caught.value) and "canary" not in str(caught.value)


def test_a_kms_out_of_reach_is_a_fault() -> None:
    with pytest.raises(VaultFault, match="reached"):
        GoogleKms(f"http://127.0.0.1:1{PATH}", lambda: "t").wrap(b"k", b"c")


@pytest.mark.parametrize(
    "name", ["http://kms.example" + PATH, "https://kms.example/", "https://u@k.example" + PATH, "x"]
)
def test_a_name_must_be_a_crypto_key_reached_by_https(name: str) -> None:
    with pytest.raises(VaultFault, match="CryptoKey"):
        GoogleKms(name, lambda: "t")


def test_a_service_account_signs_its_own_token(tmp_path) -> None:
    private = rsa.generate_private_key(65537, 2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    file = tmp_path / "account.json"
    file.write_text(json.dumps({"client_email": "a@p.example", "private_key": pem, "private_key_id": "1"}))
    token = signed(file, 1_000_000)
    claims = jwt.decode(token, private.public_key(), ["RS256"], audience=SCOPE_HOST, options={"verify_exp": False})
    assert claims["iss"] == "a@p.example" and claims["exp"] == 1_000_600
    file.write_text("{}")
    with pytest.raises(VaultFault, match="GOOGLE_APPLICATION_CREDENTIALS"):
        signed(file, 0)


def test_the_vault_opens_with_it_and_nothing_in_clear_reaches_it(kms, make_vault, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("server.security.kms.credentials", lambda environment: lambda: "token")
    make_vault(kms=kms.name).set(*OPENAI, KEY)
    assert make_vault(kms=kms.name).open() == {OPENAI: KEY}
    assert make_vault(kms=kms.name).lock().kind == "kms" and list(tmp_path.glob("*.key")) == []
    assert all(base64.b64encode(KEY.encode()).decode() not in json.dumps(r["body"]) for r in kms.requests)
    with pytest.raises(VaultFault, match="another KMS"):
        make_vault().open()
