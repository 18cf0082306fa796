"""What in a text looks like an instruction to the model. Pure; a sign is a warning, never a verdict.

It does not protect by itself: the fence, the user role and the fact that no text can reach routing do (guide §8.1).
"""

import re
import unicodedata
from collections.abc import Sequence

_HIDDEN = re.compile(
    r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]{2,}|[\U000e0000-\U000e007f]"
)
_WHO = r"(?:previous|prior|above|earlier|preceding|former|original|system|developer|all|any|your)"
_WHAT = r"(?:instructions?|prompts?|rules?|directions?|guidelines?|messages?|constraints?|policies|context|directives?)"
_SIGNS = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        (
            "asks to drop instructions",
            rf"\b(?:ignore|disregard|forget|override|bypass|drop|skip|discard)\b.{{0,40}}\b{_WHO}\b.{{0,30}}\b{_WHAT}\b",
        ),
        (
            "asks to drop instructions",
            r"\bdo not (?:follow|obey)\b.{0,40}\binstructions?\b|\bforget (?:everything|all)\b",
        ),
        (
            "gives new instructions",
            rf"\b(?:new|updated|real|actual|true|important|mandatory) (?:system )?{_WHAT}\b\s*[:\-]",
        ),
        ("gives new instructions", r"\byou (?:must|should|shall|have to|need to) (?:now|instead|always|immediately)\b"),
        (
            "assigns a role",
            r"\byou are (?:now|no longer|in)\b|\b(?:act|behave|respond|answer|reply) (?:only )?as (?:if|an?|the)\b",
        ),
        (
            "assigns a role",
            r"\bpretend (?:to be|you)|\b(?:developer|debug|god|jailbreak|dan|admin(?:istrator)?|root) mode\b",
        ),
        (
            "asks for the system prompt",
            r"\b(?:reveal|print|repeat|show|output|disclose|leak|dump)\b.{0,40}\b(?:system|hidden|initial|secret) ?(?:prompt|instructions?|message|keys?)",
        ),
        (
            "speaks as another role",
            r"<\|?(?:im_start|im_end|system|user|assistant|eot_id|start_header_id|endoftext)\b|\[/?inst\]|<</?sys>>",
        ),
        (
            "speaks as another role",
            r"(?m)^\s*(?:#+ *)?(?:system|assistant|developer|human|user)\s*(?:message|prompt|note)?\s*:\s*\S",
        ),
        (
            "imitates a fence",
            r"<<<\s*/?(?:data|end)\b|</?(?:context|document|data|untrusted|reference|tool_result|function_results?)\b[^>]*>",
        ),
        (
            "asks for a tool call",
            r"\b(?:call|invoke|use|run|execute)\b.{0,30}\b(?:tool|function|command|shell|plugin)\b.{0,60}\b(?:with|now|immediately|then|to)\b",
        ),
        (
            "asks to send something away",
            r"\b(?:send|post|upload|exfiltrate|forward|transmit|e-?mail)\b.{0,80}(?:https?://|\b(?:key|password|secret|token|conversation|credentials?|history)s?\b)",
        ),
        ("hides a picture that reports", r"!\[[^\]]*\]\(\s*https?://[^)]*[?&][^)]*\)|<img\b[^>]*\bsrc="),
        (
            "asks for secrecy",
            r"\b(?:do not|don't|never|without)\b.{0,20}\b(?:tell|mention|inform|telling|mentioning|informing|reveal)\b.{0,30}\b(?:user|human|anyone|this)\b",
        ),
        (
            "talks of budgets or routing",
            r"\b(?:set|raise|remove|increase|ignore|disable|lift|change)\b.{0,40}\b(?:budget|max_cost|spending limit|rate limit)|\b(?:change|switch|set) the (?:model|provider|routing) to\b|\bdisable the provider",
        ),
        (
            "asks to drop instructions",
            r"忽略.{0,12}(?:指令|指示|提示)|無視して|игнорируй.{0,30}инструкци|ignoriere.{0,40}anweisung|ignorez?.{0,40}instructions|ignora.{0,40}instrucciones",
        ),
    )
)


def signs(text: str, raw: str = "") -> Sequence[str]:
    """The names of what was found, each once, in a fixed order. `raw` is the text before it was cleaned."""
    looked = unicodedata.normalize("NFKC", text).lower()
    flat = re.sub(r"[ \t\n]+", " ", looked)
    found = [name for name, pattern in _SIGNS if pattern.search(looked) or pattern.search(flat)]
    if raw and _HIDDEN.search(raw):
        found.append("hides characters")
    return tuple(dict.fromkeys(found))
