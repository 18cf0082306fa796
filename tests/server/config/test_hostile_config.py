"""Configurations nobody should write, or somebody wrote on purpose (guide §9.5): each is a fault with its key, or is said to
be fine; never a traceback, never the value."""

from pathlib import Path

import pytest

from server.config import ConfigFault, load
from server.config.load import Folders, is_trusted
from server.examined import examined

CANARY = "sk-canary-6021"
DEEP = "[" * 20_000 + "]" * 20_000
X = '[providers.x]\ndialect = "openai_chat"\nbase_url = "https://x.example/v1"\n'
MODEL = f'{X}[[providers.x.models]]\nid = "m"\n'


def url(value: str) -> str:
    return f'[providers.x]\ndialect = "openai_chat"\napi_key = "{CANARY}"\nbase_url = "{value}"\n'


# text → the key (or `file`, `toml`) that the first finding names
REFUSED: dict[str, tuple[str | bytes, str]] = {
    "no TOML": ("[routing\n", "toml"),
    "YAML": ("routing:\n  strategy: cost\n", "toml"),
    "a YAML bomb": ("a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", "toml"),
    "JSON": ('{"routing": {}}', "toml"),
    "a key twice": ('[routing]\nmodel = "a"\nmodel = "b"\n', "toml"),
    "a table twice": ("[routing]\n[routing]\n", "toml"),
    "a table over a key": ("routing = 1\n[routing]\n", "toml"),
    "NUL": ("[routing]\nmodel = \"a\0b\"\n", "toml"),
    "no UTF-8": (b"[routing]\nmodel = \"\xff\"\n", "file"),
    "UTF-16": ("[routing]\n".encode("utf-16"), "file"),
    "too deep": (f"a = {DEEP}\n", "toml"),
    "a number of 5000 digits": (f"[budget]\ndaily_usd = {'1' * 5000}\n", "toml"),
    "larger than any configuration": (f"# {'x' * (2 << 20)}\n", "file"),
    "a section nobody has": ("[bugdet]\n", "bugdet"),
    "a key nobody has": ("[routing]\nmodle = 1\n", "routing.modle"),
    "a section that is a value": ("routing = 3\n", "routing"),
    "a list for a section": ("[[routing]]\n", "routing"),
    "a provider that is a value": ("[providers]\nopenai = 1\n", "providers.openai"),
    "NaN dollars": ("[budget]\ndaily_usd = nan\n", "budget.daily_usd"),
    "endless dollars": ("[budget]\nmonthly_usd = inf\n", "budget.monthly_usd"),
    "negative dollars": ("[budget]\ndaily_usd = -0.01\n", "budget.daily_usd"),
    "true dollars": ("[budget]\ndaily_usd = true\n", "budget.daily_usd"),
    "dollars in words": ('[budget]\ndaily_usd = "ten"\n', "budget.daily_usd"),
    "a date for dollars": ("[budget]\ndaily_usd = 2026-01-01\n", "budget.daily_usd"),
    "an alert above all": ("[budget]\nalerts = [1.5]\n", "budget.alerts.0"),
    "a time zone nobody has": ('[budget]\ntime_zone = "Mars/Olympus"\n', "budget.time_zone"),
    "a time zone that is a path": ('[budget]\ntime_zone = "../../etc/passwd"\n', "budget.time_zone"),
    "another edge": ('[budget]\nat_edge = "ignore"\n', "budget.at_edge"),
    "a NaN price": (f"{MODEL}price = {{ input = nan, output = 1.0 }}\n", "providers.x.models.0.price.input"),
    "a negative price": (f"{MODEL}price = {{ input = 1.0, output = -1.0 }}\n", "providers.x.models.0.price.output"),
    "half a price": (f"{MODEL}price = {{ input = 1.0 }}\n", "providers.x.models.0.price.output"),
    "a window of nothing": (f"{MODEL}context_window = 0\n", "providers.x.models.0.context_window"),
    "half a token": (f"{MODEL}max_output = 1.5\n", "providers.x.models.0.max_output"),
    "a quality above all": (f"{MODEL}quality = 2\n", "providers.x.models.0.quality"),
    "an ability nobody has": (f'{MODEL}capabilities = ["telepathy"]\n', "providers.x.models.0.capabilities.0"),
    "a model without a name": (f'{X}[[providers.x.models]]\nid = ""\n', "providers.x.models.0.id"),
    "a model twice": (f'{MODEL}[[providers.x.models]]\nid = "m"\n', "providers.x.models"),
    "no weight": (f"{X}weight = 0\n", "providers.x.weight"),
    "a weight beyond all": (f"{X}weight = 1e300\n", "providers.x.weight"),
    "a negative rate": (f"{X}rpm = -1\n", "providers.x.rpm"),
    "a rate of nothing": (f"{X}concurrency = 0\n", "providers.x.concurrency"),
    "no patience": (f"{X}timeout_s = 0\n", "providers.x.timeout_s"),
    "patience of years": (f"{X}timeout_s = 1e9\n", "providers.x.timeout_s"),
    "a header with a line break": (f'{X}headers = {{ a = "b\\r\\nc: {CANARY}" }}\n', "providers.x.headers"),
    "no dialect": ('[providers.x]\nbase_url = "https://x.example"\n', "providers.x"),
    "a dialect nobody speaks": ('[providers.x]\ndialect = "klingon"\nbase_url = "https://x.example"\n', "providers.x"),
    "no address": ('[providers.x]\ndialect = "openai_chat"\n', "providers.x"),
    "a key in clear over the net": (url("http://x.example/v1"), "providers.x"),
    "a key in clear to a name like ours": (url("http://localhost.evil.example/v1"), "providers.x"),
    "a user in the address": (url("https://u:p@x.example/v1"), "providers.x.base_url"),
    "a file for an address": (url("file:///etc/passwd"), "providers.x.base_url"),
    "FTP": (url("ftp://x.example"), "providers.x.base_url"),
    "no scheme": (url("x.example/v1"), "providers.x.base_url"),
    "no host": (url("https:///v1"), "providers.x.base_url"),
    "a way up": (url("https://x.example/v1/../../admin"), "providers.x.base_url"),
    "a way up in disguise": (url("https://x.example/v1/%2e%2e/admin"), "providers.x.base_url"),
    "a backslash": (url("https://x.example\\\\@evil.example/v1"), "providers.x.base_url"),
    "a blank": (url("https://x.example/v1 /x"), "providers.x.base_url"),
    "a line break in the address": (url("https://x.example/\\r\\nHost: evil"), "providers.x.base_url"),
    "a port beyond all": (url("https://x.example:99999/v1"), "providers.x.base_url"),
    "a question in the address": (url("https://x.example/v1?key=1"), "providers.x.base_url"),
    "a cycle of hybrids": (
        '[providers.a]\ndialect = "hybrid"\nmembers = ["b"]\n[providers.b]\ndialect = "hybrid"\nmembers = ["a"]\n',
        "providers.a.members",
    ),
    "a hybrid of nobody": ('[providers.a]\ndialect = "hybrid"\n', "providers.a"),
    "a hybrid of strangers": ('[providers.a]\ndialect = "hybrid"\nmembers = ["opnai"]\n', "providers.a.members"),
    "a provider with a slash": ('[providers."a/b"]\ndialect = "ollama"\nbase_url = "http://127.0.0.1:9"\n', "providers.a/b"),
    "the simulator's name": ('[providers.sim]\ndialect = "ollama"\nbase_url = "http://127.0.0.1:9"\n', "providers.sim"),
    "a strategy nobody has": ('[routing]\nstrategy = "costs"\n', "routing.strategy"),
    "a task's strategy nobody has": ('[routing.tasks]\nx = { strategy = "costs" }\n', "routing.tasks.x.strategy"),
    "weights of nothing": ("[routing.weights]\ncost = 0\nquality = 0\nperformance = 0\n", "routing.weights"),
    "an empty group": ("[models]\nfast = []\n", "models.fast"),
    "a group of itself": ('[models]\nfast = ["fast"]\n', "models.fast"),
    "a group with Plenum's word": ('[models]\nauto = ["openai/"]\n', "models.auto"),
    "a breaker opened longer than at most": ("[breaker]\nopen_s = 70\n", "breaker.open_s"),
    "a pause longer than at most": ("[retry]\nbase_s = 30\n", "retry.base_s"),
    "a store nobody has": (f'[store]\nurl = "mysql://{CANARY}"\n', "store.url"),
    "a shared store nobody has": (f'[store]\nshared = "memcached://{CANARY}"\n', "store.shared"),
    "an origin without a scheme": ('[http]\norigins = ["example.com"]\n', "http.origins"),
    "a host of nothing": ('[http]\nhosts = [""]\n', "http.hosts"),
    "a hybrid of itself": ('[providers.a]\ndialect = "hybrid"\nmembers = ["a"]\n', "providers.a.members"),
    "a share above all": ("[routing.weights]\ncost = 1.5\n", "routing.weights.cost"),
    "no attempts": ("[retry]\nattempts = 0\n", "retry.attempts"),
    "a thousand attempts": ("[retry]\nattempts = 1000\n", "retry.attempts"),
    "a breaker of nothing": ("[breaker]\nfailures = 0\n", "breaker.failures"),
    "a negative life": ("[cache]\nttl_s = -1\n", "cache.ttl_s"),
    "a picture policy nobody has": ('[security]\nimage_urls = "yes"\n', "security.image_urls"),
    "an issuer in clear": ('[http]\nissuer = "http://id.example"\naudience = "x"\n', "http.issuer"),
    "a token that is a number": (f"[http]\ntokens = [7, \"{CANARY}\"]\n", "http.tokens.0"),
    "a key that is a list": (f'[providers.x]\napi_key = ["{CANARY}"]\n', "providers.x.api_key"),
}  # fmt: skip

FINE: dict[str, str | bytes] = {
    "nothing": "",
    "a byte order mark": b"\xef\xbb\xbf[routing]\nstrategy = \"cost\"\n",
    "CRLF": "[routing]\r\nstrategy = \"cost\"\r\n",
    "an unset variable": '[providers.openai]\napi_key = "${NOBODY_SET_THIS}"\n',
    "clear text on loopback": '[providers.x]\ndialect = "openai_chat"\napi_key = "k"\nbase_url = "http://127.0.0.1:9/v1"\n',
    "clear text that is meant": '[providers.x]\ndialect = "openai_chat"\napi_key = "k"\nbase_url = "http://x/v1"\nallow_http = true\n',
    "a budget of nothing": "[budget]\ndaily_usd = 0\n",
}  # fmt: skip


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "plenum.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_named_by_its_key_and_never_by_its_value(tmp_path: Path, name: str) -> None:
    text, key = REFUSED[name]
    with pytest.raises(ConfigFault) as caught:
        examined(load(written(tmp_path, text), {}, Folders(tmp_path, tmp_path)))
    assert caught.value.findings[0].key == key
    told = str(caught.value)
    assert CANARY not in told and "passwd" not in told.replace(str(tmp_path), "") and len(told) < 2_000
    assert "plenum.toml" in caught.value.findings[0].file


def test_what_cannot_be_carried_out_is_named_with_file_line_and_the_nearest_name(tmp_path: Path) -> None:
    text = '[providers.team]\ndialect = "hybrid"\nmembers = ["opnai"]\n[routing]\nstrategy = "costs"\n'
    with pytest.raises(ConfigFault) as caught:
        examined(load(written(tmp_path, text), {}, Folders(tmp_path, tmp_path)))
    found = [(finding.file, finding.line, finding.nearest) for finding in caught.value.findings]
    assert found == [(str(tmp_path / "plenum.toml"), 3, "openai"), (str(tmp_path / "plenum.toml"), 5, "cost")]


def test_a_trust_that_cannot_be_read_trusts_nobody(tmp_path: Path) -> None:
    folders = Folders(tmp_path, tmp_path)
    for broken in (b"\xff", b"{", b"[]"):
        folders.trusted.write_bytes(broken)
        assert not is_trusted(written(tmp_path, "[routing]\n"), folders)


@pytest.mark.parametrize("name", FINE)
def test_what_looks_odd_and_is_fine_is_taken(tmp_path: Path, name: str) -> None:
    examined(load(written(tmp_path, FINE[name]), {}, Folders(tmp_path, tmp_path)))


def test_a_folder_and_nothing_at_all_are_no_files(tmp_path: Path) -> None:
    for file in (tmp_path, tmp_path / "nowhere.toml"):
        with pytest.raises(ConfigFault) as caught:
            load(file, {}, Folders(tmp_path, tmp_path))
        assert caught.value.findings[0].key == "file"


def test_a_link_is_followed_and_one_to_itself_is_a_fault(tmp_path: Path) -> None:
    written(tmp_path, '[routing]\nstrategy = "cost"\n')
    (tmp_path / "link.toml").symlink_to(tmp_path / "plenum.toml")
    assert load(tmp_path / "link.toml", {}, Folders(tmp_path, tmp_path)).config.routing.strategy == "cost"
    (tmp_path / "loop.toml").symlink_to(tmp_path / "loop.toml")
    with pytest.raises(ConfigFault):
        load(tmp_path / "loop.toml", {}, Folders(tmp_path, tmp_path))


def test_there_are_sixty_of_them() -> None:
    assert len(REFUSED) + len(FINE) >= 60
