"""Groups of alike texts: connected components over a pairwise test. Shared by the methods that compare wording or sense."""

from collections.abc import Callable, Sequence

from ..types import Ballot, Group

Alike = Callable[[int, int], bool]


def components(count: int, alike: Alike) -> list[list[int]]:
    """Indices that hang together, each list in order."""
    parent = list(range(count))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for one in range(count):
        for other in range(one):
            if root(one) != root(other) and alike(one, other):
                parent[root(one)] = root(other)
    found: dict[int, list[int]] = {}
    for at in range(count):
        found.setdefault(root(at), []).append(at)
    return list(found.values())


def grouped(
    ballots: Sequence[Ballot], lists: Sequence[Sequence[int]], weigh: Callable[[float], float]
) -> tuple[Group, ...]:
    """Groups of the ballots with these indices, heaviest first; a tie goes to the group with the best member."""
    made: list[Group] = []
    for members in lists:
        same = sorted((ballots[at] for at in members), key=lambda b: (-b.member.quality, b.member.name))
        made.append(Group(same[0].key or "", tuple(same), sum(weigh(b.member.quality) for b in same)))
    return tuple(sorted(made, key=lambda g: (-round(g.weight, 9), -g.speaker.member.quality, g.speaker.member.name)))


def spoken(ballots: Sequence[Ballot]) -> list[Ballot]:
    """Those that answered something."""
    return [ballot for ballot in ballots if ballot.found is not None]


def lexical(texts: Sequence[str], least: float) -> Alike:
    """Whether two texts' normalised Levenshtein similarity exceeds `least` (0..1)."""
    from rapidfuzz.distance import Levenshtein

    def alike(one: int, other: int) -> bool:
        return Levenshtein.normalized_similarity(texts[one], texts[other], score_cutoff=least) > least

    return alike
