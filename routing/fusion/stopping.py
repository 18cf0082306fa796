"""Counting votes, and when enough have been heard. Pure. Source: guide fusion-and-routing §5."""

from collections.abc import Callable, Iterable, Sequence

from .types import Ballot, Group, Member, StopRule

Weigh = Callable[[float], float]


def groups(ballots: Iterable[Ballot], weigh: Weigh) -> tuple[Group, ...]:
    """Equal keys together, heaviest group first; a tie goes to the group with the best member, in any order of arrival."""
    found: dict[str, list[Ballot]] = {}
    for ballot in ballots:
        if ballot.key is not None:
            found.setdefault(ballot.key, []).append(ballot)
    made = [
        Group(key, tuple(sorted(same, key=best_first)), sum(weigh(b.member.quality) for b in same))
        for key, same in found.items()
    ]
    return tuple(sorted(made, key=lambda g: (-round(g.weight, 9), *best_first(g.speaker))))


def best_first(ballot: Ballot) -> tuple[float, str]:
    """Sorts the best member first; equals by name, so that no order of arrival shows."""
    return (-ballot.member.quality, ballot.member.name)


def stops(rule: StopRule, heard: Sequence[Ballot], outstanding: Sequence[Member], weigh: Weigh) -> bool:
    """Whether what was heard is enough although `outstanding` members have not answered. Nothing stops on silence."""
    standing = groups(heard, weigh)
    if rule == "full" or not standing:
        return False
    if rule == "agree2":
        return max(len(group.ballots) for group in standing) >= 2
    top, second, *_ = [*(group.weight for group in standing), 0.0]
    return top > second + sum(weigh(m.quality) for m in outstanding) + 1e-12


def share(winner: Group, asked: Sequence[Ballot], weigh: Weigh) -> float:
    """The winning group's weight over the weight of all asked, abstainers included."""
    return sum(weigh(b.member.quality) for b in winner.ballots) / sum(weigh(b.member.quality) for b in asked)
