"""Pictures by URL: which addresses are public, what is fetched, and that a name cannot change its mind."""

import datetime
import http.server
import ssl
import threading

import pytest

from providers.types import Image, Message, Request, Text
from routing.errors import InvalidRequest, PolicyForbids
from routing.types import Ask
from server.security.fetching import fetched, public, resolved
from server.security.images import Images, kind

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100
INSIDE = [
    "127.0.0.1",
    "127.1",
    "0x7f.1",
    "0177.0.0.1",
    "2130706433",
    "0",
    "0.0.0.0",
    "localhost",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "ff02::1",
    "2001:db8::1",
    "100::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_an_inside_address_is_never_connected_to(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises((PolicyForbids, InvalidRequest)):
        fetched(f"https://{host}/a.png")
    assert not any(map(public, resolved(address, 443)))


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_an_outside_address_is_public(address: str) -> None:
    assert public(address)


@pytest.mark.parametrize("text", ["", "x", "1.2.3", "fe80::1%eth0", "1.2.3.4/8"])
def test_what_is_no_address_is_not_public(text: str) -> None:
    assert not public(text)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.png",
        "file:///etc/passwd",
        "https://user:pw@example.com/a.png",
        "https://@example.com/",
        "https:///a.png",
        "https://exa mple.com/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com:99999/",
        "https://ex\u0430mple.com/",
        "https://[::1",
        "gopher://example.com",
    ],
)
def test_an_odd_url_is_refused_before_anything_is_resolved(url: str) -> None:
    def never(host, port):
        raise AssertionError("resolved")

    with pytest.raises(InvalidRequest):
        fetched(url, never)


def test_one_inside_address_among_outside_ones_refuses_all() -> None:
    with pytest.raises(PolicyForbids):
        fetched("https://mixed.example/", lambda host, port: ["1.1.1.1", "10.0.0.1"])


@pytest.fixture(scope="module")
def picture_server(tmp_path_factory):
    """https on loopback for the name `pictures.example`, with a certificate of its own."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pictures.example")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("pictures.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)

    class Pictures(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            extra: dict[str, str] = {}
            status, body = 200, PNG
            if self.path == "/page":
                body = b"<html>not a picture</html>"
            elif self.path == "/moved":
                status, extra = 302, {"Location": "https://127.0.0.1/"}
            elif self.path == "/huge":
                body = PNG + b"\0" * (7 << 20)
            elif self.path == "/zipped":
                extra = {"Content-Encoding": "gzip"}
            self.send_response(status)
            for header, value in extra.items():
                self.send_header(header, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                self.close_connection = True  # the fetcher had enough

        def log_message(self, *_):
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, ssl.create_default_context(cafile=str(folder / "both.pem"))
    server.shutdown()
    server.server_close()
    thread.join()


def grab(server, path: str, host: str = "pictures.example"):
    port, tls = server
    return fetched(f"https://{host}:{port}{path}", lambda h, p: ["127.0.0.1"], lambda address: True, tls)


def test_a_picture_comes_from_the_address_that_was_checked_under_its_own_name(picture_server) -> None:
    assert grab(picture_server, "/ok.png") == ("image/png", PNG)


def test_another_name_on_the_same_address_fails_its_certificate(picture_server) -> None:
    with pytest.raises(InvalidRequest, match="cannot be fetched"):
        grab(picture_server, "/ok.png", "other.example")


@pytest.mark.parametrize("path", ["/page", "/moved", "/huge", "/zipped"])
def test_what_is_no_plain_picture_is_refused(picture_server, path: str) -> None:
    with pytest.raises(InvalidRequest):
        grab(picture_server, path)


def test_a_name_that_rebinds_is_resolved_once_only(picture_server) -> None:
    port, tls = picture_server
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])  # a second look would go inside, and a third would end this test
    asked: list[str] = []

    def rebinding(host, port):
        asked.append(host)
        return next(answers)

    assert fetched(f"https://pictures.example:{port}/", rebinding, lambda address: True, tls)[0] == "image/png"
    assert asked == ["pictures.example"]


@pytest.mark.parametrize(
    ("content", "media"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"<svg", None),
        (b"", None),
    ],
)
def test_the_content_says_what_it_is(content: bytes, media: str | None) -> None:
    assert kind(content) == media


def with_picture() -> Ask:
    return Ask(Request((Message("user", (Image("", url="https://p.example/a.png"), Text("what is it?"))),)))


@pytest.mark.anyio
async def test_the_policy_decides_who_fetches() -> None:
    async def fetch(url: str):
        return "image/png", PNG

    assert await Images("pass")(with_picture()) == with_picture()
    with pytest.raises(PolicyForbids):
        await Images("refuse")(with_picture())
    found = await Images("fetch", fetch)(with_picture())
    assert found.request.messages[0].parts[0] == Image("image/png", PNG)
    many = Message("user", tuple(Image("", url=f"https://p.example/{n}") for n in range(9)))
    with pytest.raises(InvalidRequest):
        await Images("fetch", fetch)(Ask(Request((many,))))
