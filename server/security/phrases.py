"""Phrases by which texts try to give orders to a model. Known ones are told to the caller; nothing is taken out for them.

A list is no defence: the defences are that context is fenced, that no text can change routing or budgets, and that
policies hold whatever a model says.
"""

import re
from collections.abc import Iterator

from .gated import Gated, fold, holds, words

_VERBS = r"(?:ignore|disregard|forget|override|bypass)"
_OLD = r"(?:previous|prior|above|earlier|preceding|all|any|your|the|my|these|those)"
_ORDERS = r"(?:instructions?|prompts?|rules|directions|guidelines|commands|context)"
PHRASES: dict[str, Gated] = {
    "ignore previous instructions": Gated(
        ("ignore", "disregard", "forget", "override", "bypass"),
        re.compile(rf"(?i)\b{_VERBS}\s{{1,3}}(?:{_OLD}\s{{1,3}}){{1,4}}{_ORDERS}\b"),
    ),
    "new instructions": Gated(
        ("instruction", "prompt"),
        re.compile(r"(?i)\b(?:new|updated|real|actual)\s{1,3}(?:system\s{1,3})?(?:instructions?|prompt)\s{0,3}:"),
    ),
    "reveal the system prompt": Gated(
        ("prompt", "instructions"),
        re.compile(
            r"(?i)\b(?:reveal|print|show|repeat|output|leak|tell me)\s{1,3}(?:\w{1,12}\s{1,3}){0,3}"
            r"(?:system\s{1,3}prompt|initial\s{1,3}instructions|hidden\s{1,3}instructions)\b"
        ),
    ),
    "you are now": Gated(
        ("dan", "developer", "jailbroken", "unrestricted", "god"),
        re.compile(
            r"(?i)\byou\s{1,3}are\s{1,3}now\s{1,3}(?:in\s{1,3})?(?:dan\b|developer\s{1,3}mode|jailbroken|unrestricted|god\s{1,3}mode)"
        ),
    ),
    "do anything now": Gated(("anything",), re.compile(r"(?i)\bdo\s{1,3}anything\s{1,3}now\b")),
    "role markers": Gated(
        ("<|", "inst]", "sys>", "system>"),
        re.compile(r"(?i)<\|(?:im_start|im_end|system|user|assistant|endoftext)\|>|\[/?INST\]|<</?SYS>>|</?system>"),
    ),
    "do not tell the user": Gated(
        ("user",),
        re.compile(
            r"(?i)\b(?:do\s{1,3}not|don'?t|never)\s{1,3}(?:tell|inform|mention\s{1,3}(?:this\s{1,3})?to|alert)\s{1,3}the\s{1,3}user\b"
        ),
    ),
    "send secrets out": Gated(
        ("api", "password", "credentials", "secrets", "tokens"),
        re.compile(
            r"(?i)\b(?:send|post|upload|exfiltrate|forward)\s{1,3}(?:\w{1,12}\s{1,3}){0,4}"
            r"(?:api\s{0,2}keys?|passwords?|credentials|secrets|tokens)\s{1,3}to\b"
        ),
    ),
}


SIGNS = words(PHRASES.values())


def injections(text: str) -> Iterator[str]:
    """The names of the phrases found."""
    folded = fold(text)
    if not folded or holds(folded, SIGNS):
        yield from (name for name, pattern in PHRASES.items() if pattern.search(text, folded))
