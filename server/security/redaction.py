"""Keys out of every text that leaves: known values in any encoding, and whatever looks like a key.

Logging has one door, the record factory: every handler of every library gets records already made safe. That factory
is also where this process's `Redactor` is found again; there is no other global.
"""

import base64
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast
from urllib.parse import quote, quote_plus

from .carried import carried
from .shapes import BEARER, SECRETS, URL_KEY, URL_USER, plausible

MARK = "[redacted]"
SHORTEST = 8  # characters: shorter texts are words, and replacing them would maim sentences
# They write whole URLs at INFO and headers at DEBUG (guide reliability-and-security §8.2).
TALKATIVE = ("httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "urllib3", "h11", "hpack", "keyring")
_KEYLIKE = ("_KEY", "_TOKEN", "_SECRET", "_PASSPHRASE", "_PASSWORD")


class Redactor:
    """Knows this process's secrets, and how they look when they are written otherwise."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: tuple[str, ...] = ()
        self._beginnings: frozenset[str] | None = None
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Hide these from now on."""
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in encodings(secret)}
        if not forms <= set(self._known):
            self._known = tuple(sorted({*self._known, *forms}, key=len, reverse=True))
            self._beginnings = None

    def beginnings(self) -> frozenset[str]:
        """What a known secret may begin with: for texts that come in pieces."""
        if self._beginnings is None:
            self._beginnings = _beginnings(self._known)
        return self._beginnings | _beginnings(_brought()) if carried.get() else self._beginnings

    def known(self, text: str) -> str:
        """The text without known secrets: for answers, in which a pattern may be what was asked for."""
        if len(text) < SHORTEST:
            return text
        for form in (*self._known, *_brought()):
            if form in text:
                text = text.replace(form, MARK)
        return text

    def text(self, text: str) -> str:
        """The text without known secrets and without what looks like one: for logs and everything written down."""
        text = self.known(text)
        for pattern in SECRETS.values():
            text, _ = pattern.subn(MARK, text)
        text = BEARER.sub(rf"\g<1>{MARK}", text)
        return URL_USER.sub(rf"\g<1>{MARK}@", URL_KEY.sub(rf"\g<1>{MARK}", text))

    def tree(self, value: Any) -> Any:
        """A JSON value without known secrets, keys of its tables too."""
        if not (self._known or carried.get()):
            return value
        if isinstance(value, str):
            return self.known(value)
        if isinstance(value, Mapping):
            table = cast("Mapping[Any, Any]", value)
            return {self.known(k) if isinstance(k, str) else k: self.tree(v) for k, v in table.items()}
        if isinstance(value, list | tuple):
            return [self.tree(item) for item in cast("list[Any]", value)]
        return value


def _beginnings(forms: Iterable[str]) -> frozenset[str]:
    return frozenset(form[:length] for form in forms for length in range(1, len(form)))


def _brought() -> set[str]:
    """Keys that came with the request being served: hidden while it is, and forgotten with it."""
    return {form for key in carried.get().values() for form in encodings(key)} if carried.get() else set()


def encodings(secret: str) -> set[str]:
    """How a secret may be written: plain, URL, hexadecimal, reversed, base64 at each of its three offsets."""
    raw = secret.encode("utf-8", "surrogatepass")
    forms = {secret, quote(secret, safe=""), quote_plus(secret), raw.hex(), raw.hex().upper(), secret[::-1]}
    forms |= {secret.encode("unicode_escape").decode("ascii")}
    for lead in range(3):
        whole = base64.b64encode(b"\0" * lead + raw).decode()
        inner = whole[(0, 2, 3)[lead] : len(whole) - (0, 3, 2)[(lead + len(raw)) % 3]]  # free of the neighbours' bits
        forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {form for form in forms if len(form) >= SHORTEST}


class Factory:
    """The record factory: messages are formatted here, once, and tracebacks keep their places and lose their values."""

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor

    def __call__(self, *args: Any, **more: Any) -> logging.LogRecord:
        """A record no handler can make tell a key."""
        record = logging.LogRecord(*args, **more)
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a broken log call of somebody's: its template is all there is
            message = str(record.msg)
        record.msg, record.args = self.redactor.text(message), ()
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text, record.exc_info = self.redactor.text(places(record.exc_info[1])), None
        if record.stack_info:
            record.stack_info = self.redactor.text(record.stack_info)
        return record


def places(fault: BaseException) -> str:
    """Where a fault came from and what kind it was. Not its text: a stranger's may hold a prompt, a URL, an input."""
    frames = traceback.extract_tb(fault.__traceback__)
    lines = [f"  {frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} in {frame.name}" for frame in frames]
    return "\n".join([*lines, f"  {type(fault).__name__}"])


def install(environment: Mapping[str, str]) -> Redactor:
    """Make this process's logs, warnings and last words safe. A second time adds what the environment holds."""
    redactor = current()
    redactor.learn(value for name, value in environment.items() if name.upper().endswith(_KEYLIKE) and plausible(value))
    logging.setLogRecordFactory(Factory(redactor))
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    words = _last_words(redactor, debug=environment.get("PLENUM_LOG") == "debug")
    sys.excepthook, sys.unraisablehook, threading.excepthook = words
    return redactor


def current() -> Redactor:
    """The redactor of this process; a fresh one, known to nobody, where none is installed."""
    factory = logging.getLogRecordFactory()
    return factory.redactor if isinstance(factory, Factory) else Redactor()


Hook = Callable[[Any], None]


def _last_words(redactor: Redactor, *, debug: bool) -> tuple[Any, Hook, Hook]:
    def told(kind: type[BaseException], fault: BaseException | None, trace: object) -> None:
        del trace
        if fault is None or issubclass(kind, KeyboardInterrupt):
            return
        words = "".join(traceback.format_exception(fault)) if debug else f"{places(fault)}\n"
        sys.stderr.write(redactor.text(words))

    def hooked(hook: Any) -> None:
        told(hook.exc_type, hook.exc_value, hook.exc_traceback)

    return told, hooked, hooked
