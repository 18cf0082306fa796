"""`make conformance`: the official suite against our app with fixtures, and the table in docs/conformance.md.

`python run.py [SCENARIO…]` runs some scenarios and prints what failed.
"""

import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import node

HERE = Path(__file__).parent

SETS = ("2025-11-25", "2026-07-28")
TASKS = (
    "lifecycle", "capability-negotiation", "wire-fields", "request-state-removal", "mrtr-input", "request-headers",
    "dispatch-and-envelope", "status-notifications", "required-task-error", "mrtr-composition",
)  # fmt: skip


class Server:
    def __enter__(self) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.process = subprocess.Popen([sys.executable, str(HERE / "fixtures.py"), str(port)])
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                return f"http://127.0.0.1:{port}/mcp"
            except OSError:
                time.sleep(0.1)
        raise SystemExit("the fixture server did not start")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(10)


def suite(url: str, *arguments: str) -> tuple[int, str, list[dict]]:
    script = node.package("@modelcontextprotocol/conformance") / "dist/index.js"
    with tempfile.TemporaryDirectory() as out:
        command = [str(node.node()), str(script), "server", "--url", url, *arguments, "-o", out]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
        found = []
        for file in sorted(Path(out).rglob("checks.json")):
            name = re.sub(r"^(server-)?|-\d{4}-\d\d-\d\dT.*$", "", file.parent.name)
            found += [{"scenario": name, **check} for check in json.loads(file.read_text())]
    return done.returncode, done.stdout + done.stderr, found


def rows(checks: list[dict]) -> dict[str, tuple[int, int, list[str]]]:
    table: dict[str, tuple[int, int, list[str]]] = {}
    for check in checks:
        passed, failed, notes = table.get(check["scenario"], (0, 0, []))
        bad = check["status"] == "FAILURE"
        good = check["status"] == "SUCCESS"
        if bad:
            notes = [*notes, f"{check['id']}: {(check.get('errorMessage') or '')[:160]}"]
        table[check["scenario"]] = (passed + good, failed + bad, notes)
    return table


def main(wanted: list[str]) -> int:
    with Server() as url:
        if wanted:
            for name in wanted:
                code, log, checks = suite(
                    url,
                    "--scenario",
                    name.partition("@")[0],
                    *(["--spec-version", name.partition("@")[2]] if "@" in name else []),
                )
                print(name, code, json.dumps(rows(checks), indent=1) if checks else log[-1500:])
            return 0
        parts, codes = [], []
        for revision in SETS:
            code, log, checks = suite(url, "--requirements", revision)
            codes.append(code)
            parts.append((f"Required by {revision}", "passed" if not code else "FAILED", rows(checks)))
            if code:
                print(log[-3000:])
        every: list[dict] = []
        for name in TASKS:
            _, log, checks = suite(url, "--scenario", f"tasks-{name}")
            every += checks or [{"scenario": f"tasks-{name}", "status": "SKIPPED", "id": "skipped by the suite"}]
        failed = any(check["status"] == "FAILURE" for check in every)
        codes.append(int(failed))
        parts.append(("Tasks extension", "FAILED" if failed else "passed", rows(every)))
    write(parts)
    return max(codes)


def write(parts: list[tuple[str, str, dict[str, tuple[int, int, list[str]]]]]) -> None:
    version = node.PACKAGES["@modelcontextprotocol/conformance"]
    lines = [
        "# Conformance",
        "",
        f"The official suite (`@modelcontextprotocol/conformance` {version}) against Plenum's own HTTP application with the",
        "suite's fixtures mounted. Written by `make conformance`. A set's verdict is the suite's own: some of its checks are",
        "not scored. A scenario without any check was skipped by the suite itself.",
    ]
    for title, verdict, table in parts:
        lines += ["", f"## {title}: {verdict}", "", "| scenario | passed | failed | not met |", "|---|---|---|---|"]
        lines += [
            f"| {name} | {good} | {bad} | {'; '.join(n.partition(':')[0] for n in notes)} |"
            for name, (good, bad, notes) in sorted(table.items())
        ]
        print(
            title,
            verdict,
            sum(g for g, _, _ in table.values()),
            "passed,",
            sum(b for _, b, _ in table.values()),
            "failed",
        )
        for name, (_, bad, notes) in table.items():
            if bad:
                print("  ", name, *("\n      " + note for note in notes))
    Path(HERE.parents[1] / "docs/conformance.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
