"""What is asked, by type of task. Gold answers are compared by `routing.fusion.answers`: found in the text, made canonical."""

from dataclasses import dataclass

from routing.fusion.answers import Spec, extract


@dataclass(frozen=True, slots=True)
class Case:
    """One question. `gold` is its answer where there is one; without, only a judge can say how good an answer is."""

    task: str
    prompt: str
    spec: Spec = Spec("text")
    gold: str = ""


CASES = (
    Case("arithmetic", "What is 17 * 23? End with the number alone on the last line.", Spec("number"), "391"),
    Case("arithmetic", "What is 1024 - 388? End with the number alone on the last line.", Spec("number"), "636"),
    Case(
        "fact",
        "Which city is the capital of Australia? A) Sydney B) Melbourne C) Canberra. End with: Answer: <letter>",
        Spec("choice", ("Sydney", "Melbourne", "Canberra")),
        "C",
    ),
    Case(
        "choice",
        "Which sorts in O(n log n) at worst? A) quicksort B) heapsort C) bubble sort. End with: Answer: <letter>",
        Spec("choice", ("quicksort", "heapsort", "bubble sort")),
        "B",
    ),
    Case(
        "extraction",
        'Return only JSON {"name": …, "year": …} for: "Ada Lovelace published her notes in 1843."',
        Spec("json"),
        '{"name": "Ada Lovelace", "year": 1843}',
    ),
    Case("code", "Write a Python function that says whether a string is a palindrome, ignoring case and spaces."),
    Case("summary", "Explain in three sentences why a write-ahead log makes a database survive a crash."),
)


def score(case: Case, text: str) -> float | None:
    """1 for the gold answer, 0 for another or none; None where there is no gold."""
    if not case.gold:
        return None
    wanted, found = extract(case.gold, case.spec), extract(text, case.spec)
    assert wanted is not None, "a gold answer can be read"
    return float(found is not None and found.key == wanted.key)
