"""The page as text: as it is, with facts inside, and the policy under which it may run. One file, nothing from elsewhere."""

import hashlib
import json
import re
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any

_SLOT = '<script type="application/json" id="data"></script>'


@cache
def page() -> str:
    """The page without facts: it fetches them from `/api`, or is told them by a host."""
    return (Path(__file__).parent / "dashboard.html").read_text("utf-8")


def exported(facts: dict[str, Any]) -> str:
    """The page with its facts: one file that needs nobody. No text in it can end the element that holds it."""
    inside = json.dumps(facts, ensure_ascii=True).replace("<", "\\u003c")
    meta = (
        f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy("none", framed=True)}">'
    )
    filled = _SLOT.replace("></", f">{inside}</")
    return page().replace(_SLOT, filled).replace('<meta charset="utf-8">', meta)


@cache
def policy(connect: str = "self", *, framed: bool = False) -> str:
    """Content-Security-Policy: this page's own style and script, by their hashes, and nothing else.

    `framed` leaves out what a policy in a document may not say.
    """
    script, style = _hash(r"<script>(.*?)</script>"), _hash(r"<style>(.*?)</style>")
    rules = f"default-src 'none'; script-src {script}; style-src {style}; connect-src '{connect}'; base-uri 'none'; form-action 'none'"
    return rules if framed else f"{rules}; frame-ancestors 'none'"


def _hash(pattern: str) -> str:
    found = re.search(pattern, page(), re.DOTALL)
    assert found is not None, "the page has a script and a style"
    digest = hashlib.sha256(found[1].encode()).digest()
    return f"'sha256-{b64encode(digest).decode()}'"
