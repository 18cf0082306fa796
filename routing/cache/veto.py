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


# How one asks, and not what: taken off before little words are compared.
_FRAME = re.compile(
    r"^(?:please[, ]+|hi[, ]+|hello[, ]+)*(?:(?:can|could|would|will) (?:you|somebody|someone) (?:please |kindly |briefly )?"
    r"(?:tell|show|explain|describe|give|help|let)(?: to)?(?: me| us)?(?: know| understand)?(?: about)?"
    r"|(?:please |kindly |briefly )?(?:tell|show|explain|describe|give|let)(?: to)? (?:me|us)(?: know)?(?: about)?"
    r"|i(?: would|'d) (?:really )?like to (?:know|understand)|i (?:want|need) to (?:know|understand)|i need|i want"
    r"|i(?: am|'m) wondering|do you know|is it true that)\b[, ]*|[, ]*\b(?:please|thanks|thank you)\b[.!?]*$",
    re.IGNORECASE,
)
_HOW = re.compile(r"^how (?:(?:can|could|would|do) (?:i|you|one|we)|i|you|to) ", re.IGNORECASE)
# Little words that turn an answer round when one stands for another: where, whose, when, which.
_RELATIONS = (
    frozenset(["in", "on", "at", "to", "for", "of", "from", "by", "with", "under", "over", "into", "onto", "about"]),
    frozenset(
        [
            "i",
            "me",
            "my",
            "we",
            "us",
            "our",
            "you",
            "your",
            "he",
            "him",
            "his",
            "she",
            "her",
            "they",
            "them",
            "their",
            "it",
            "its",
        ]
    ),
    frozenset(["this", "that", "these", "those", "here", "there"]),
    frozenset(["and", "or"]),
    frozenset(["will", "would", "shall"]),
)
_PAST = frozenset(["was", "were", "did", "had", "been"])


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
    return _otherwise(_asked(a), _asked(b))


def _asked(text: str) -> list[str]:
    """The words of what is asked, without how it is asked."""
    return _words(_HOW.sub("how do i ", _FRAME.sub("", _FRAME.sub("", text))))


def _otherwise(words: list[str], others: list[str]) -> str | None:
    """What is said on one side alone, in other relations, or in another order."""
    if _differ(words, others):
        return "words"
    if _related(words, others):
        return "relations"
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


def _differ(words: list[str], others: list[str]) -> bool:
    """Whether one says something the other does not: `profit` for `loss`, or `in reverse` behind the same question."""
    return set(map(_stem, words)) - _LITTLE != set(map(_stem, others)) - _LITTLE


def _stem(word: str) -> str:
    """`what's` is `what`; nothing else is taken for the same."""
    return word.removesuffix("'s")


def _related(words: list[str], others: list[str]) -> bool:
    """Whether little words say another time, place or person: of one kind, each side has one the other lacks."""
    mine, theirs = set(words), set(others)
    if bool(mine & _PAST) != bool(theirs & _PAST):
        return True
    if any((mine - theirs) & kind and (theirs - mine) & kind for kind in _RELATIONS):
        return True
    people = _RELATIONS[1]
    one, other = [w for w in words if w in people], [w for w in others if w in people]
    return one != other and sorted(one) == sorted(other)


def _reordered(words: list[str], others: list[str]) -> bool:
    """The same words in another order say who does what to whom: from Rome to Oslo, a dog that bites a man."""
    mine = [word for word in words if word not in _LITTLE]
    theirs = [word for word in others if word not in _LITTLE]
    return mine != theirs and sorted(mine) == sorted(theirs)
