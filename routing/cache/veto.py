"""Whether two questions that lie near each other may still have different answers. Pure; when in doubt they do.

Similarity alone is unsafe (guide providers §16: "enable/disable", "10/12 miles" score 0.75 to 0.95). Asked here is what
vectors blur: numbers, negations, opposites, quoted and written code, names, and who does what to whom.
"""

import re
from collections import Counter
from collections.abc import Iterable

_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|«[^»]*»|`[^`]*`|(?<!\w)'[^']+'(?!\w)")
_CODE = re.compile(
    r"```.*?```|https?://\S+|(?<!\w)[\w./\\~-]*[/\\][\w./\\~-]+|\w+_\w+|\w+\([^)]*\)|(?<!\w)--?\w[\w-]*|\w+\.\w+",
    re.DOTALL,
)
_SIGNS = re.compile(r"[<>=+*^%$€£#@&|!]+|(?<=\s)-(?=\s|\d)")
_NAME = re.compile(r"\b(?:[A-Z][\w'-]*|[a-z]+[A-Z]\w*)\b")
_WORD = re.compile(r"[^\W\d_]+(?:'[a-z]+)?")
_NUMERALS = frozenset(
    [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
        "thirty",
        "forty",
        "fifty",
        "sixty",
        "seventy",
        "eighty",
        "ninety",
        "hundred",
        "thousand",
        "million",
        "billion",
        "half",
        "third",
        "quarter",
        "double",
        "triple",
        "twice",
        "once",
        "first",
        "second",
        "fourth",
        "fifth",
        "sixth",
        "last",
        "dozen",
    ]
)
_NEGATIONS = frozenset(
    [
        "not",
        "no",
        "never",
        "none",
        "nothing",
        "nobody",
        "nowhere",
        "neither",
        "nor",
        "without",
        "cannot",
        "except",
        "unless",
        "hardly",
        "barely",
        "lacking",
        "avoid",
        "stop",
        "refuse",
        "fail",
        "fails",
        "failed",
        "prevent",
        "exclude",
        "excluding",
    ]
)
# Words of which one instead of the other turns the answer round; a pair counts in both directions.
_OPPOSED = (
    "enable disable|ascending descending|ascend descend|increase decrease reduce|maximum minimum|max min|up down"
    "|before after|above below|over under|open close|start stop end|begin finish|first last|left right|north south"
    "|east west|buy sell|import export|push pull|add remove delete|install uninstall|encode decode"
    "|encrypt decrypt|compress decompress|lock unlock|allow deny block forbid permit|accept reject decline"
    "|true false|on off|in out|inside outside|internal external|public private|read write|upload download|more less"
    "|fewer|most least|best worst|better worse|good bad|high low|higher lower|highest lowest|large small|big little"
    "|larger smaller|largest smallest|long short|longer shorter|longest shortest|fast slow|faster slower|hot cold"
    "|warm cool|light dark|heavy|old new|older newer|oldest newest|young|younger|early late|earlier later|earliest"
    " latest|rich poor|cheap expensive|cheapest|win lose|pass|love hate|like dislike|with without|include exclude"
    "|advantages disadvantages|pros cons|benefits drawbacks risks|strengths weaknesses|male female|men women"
    "|man woman|boy girl|mother father|son daughter|brother sister|husband wife|summer winter|spring autumn fall"
    "|morning evening night|day week month year hour minute second|daily weekly monthly yearly|monday tuesday"
    " wednesday thursday friday saturday sunday|january february march april may june july august september october"
    " november december|red blue green yellow black white|cat dog|kilometres miles metres feet kilometers meters"
    "|celsius fahrenheit|kilograms pounds|gallons litres liters|legal illegal|safe unsafe|valid invalid|possible"
    " impossible|always never sometimes|all some any none|every each|must may should|who what when where why"
    " how which|synchronous asynchronous|static dynamic|server client|sender receiver|lender borrower|employer"
    " employee|teacher student|doctor patient|parent child|host guest|singular plural|odd even|positive negative"
    "|horizontal vertical|row column|rows columns|input output|source target|credit debit|asset liability|mean median"
    " mode|sine cosine tangent|area perimeter volume circumference|radius diameter|acid base|import"
)
_GROUPS = [frozenset(group.split()) for group in _OPPOSED.split("|")]
_OPPOSITES: dict[str, frozenset[str]] = {}
for _group in _GROUPS:
    for _one in _group:
        _OPPOSITES[_one] = _OPPOSITES.get(_one, frozenset()) | (_group - {_one})
_LITTLE = frozenset(
    [
        "a",
        "an",
        "the",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "am",
        "do",
        "does",
        "did",
        "i",
        "you",
        "we",
        "they",
        "he",
        "she",
        "it",
        "my",
        "your",
        "our",
        "me",
        "us",
        "them",
        "to",
        "of",
        "for",
        "in",
        "on",
        "at",
        "and",
        "or",
        "so",
        "as",
        "if",
        "then",
        "than",
        "that",
        "this",
        "these",
        "those",
        "there",
        "here",
        "please",
        "tell",
        "give",
        "show",
        "explain",
        "describe",
        "say",
        "let",
        "know",
        "would",
        "will",
        "shall",
        "want",
        "need",
        "help",
        "wondering",
        "just",
        "really",
        "exactly",
        "actually",
        "kindly",
        "briefly",
        "about",
    ]
)


def veto(one: str, other: str) -> str | None:
    """Why the answer to one may not be given to the other, None when nothing speaks against it."""
    a, b = one.strip(), other.strip()
    for why, found in (("code", _CODE), ("quoted", _QUOTED), ("numbers", _NUMBER), ("signs", _SIGNS)):
        if Counter(_plain(found.findall(a))) != Counter(_plain(found.findall(b))):
            return why
    words, others = _words(a), _words(b)
    if _chosen(words, _NUMERALS) != _chosen(others, _NUMERALS):
        return "numbers"
    if _denials(words) % 2 != _denials(others) % 2 or bool(_denials(words)) != bool(_denials(others)):
        return "negation"
    if _turned(set(words), set(others)):
        return "opposites"
    if _names(a, others) or _names(b, words):
        return "names"
    if _substituted(words, others):
        return "words"
    return "order" if _reordered(words, others) else None


def _plain(found: Iterable[str]) -> list[str]:
    return [text.strip("\"'`“”«»").rstrip(".?!,;:") for text in found]


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text.replace("’", "'"))]


def _chosen(words: list[str], of: frozenset[str]) -> Counter[str]:
    return Counter(word for word in words if word in of)


def _denials(words: list[str]) -> int:
    return sum(word in _NEGATIONS or word.endswith("n't") for word in words)


def _turned(words: set[str], others: set[str]) -> bool:
    """Whether a word of one side alone has its opposite on the other alone; also by prefix (`usual`, `unusual`)."""
    mine, theirs = words - others, others - words
    if any(_OPPOSITES.get(word, frozenset()) & theirs for word in mine):
        return True
    return any(_denied(word, theirs) for word in mine) or any(_denied(word, mine) for word in theirs)


def _denied(word: str, others: set[str]) -> bool:
    prefixes = "un", "in", "im", "ir", "il", "dis", "non", "de", "mis", "anti", "under", "over", "re", "a"
    return len(word) > 3 and any(f"{prefix}{word}" in others for prefix in prefixes)


def _names(text: str, others: list[str]) -> bool:
    """Whether it names something the other does not. The first word of a sentence is a name only within one."""
    starts = {match.end() - 1 for match in re.finditer(r"(?:^|[.!?]\s+)\w", text)}
    named = (m[0] for m in _NAME.finditer(text) if m.start() not in starts or (len(m[0]) > 1 and m[0].isupper()))
    known = set(others)
    return any(word not in known for name in named if name != "I" for word in _words(name))


def _substituted(words: list[str], others: list[str]) -> bool:
    """Whether each says something the other does not: `profit` for `loss`. Only what is added to one alone is harmless."""
    mine, theirs = set(words) - _LITTLE, set(others) - _LITTLE
    return bool(mine - theirs) and bool(theirs - mine)


def _reordered(words: list[str], others: list[str]) -> bool:
    """The same words in another order say who does what to whom: from Rome to Oslo, a dog that bites a man."""
    mine = [word for word in words if word not in _LITTLE]
    theirs = [word for word in others if word not in _LITTLE]
    return mine != theirs and sorted(mine) == sorted(theirs)
