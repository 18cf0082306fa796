"""Answers that mean the same are one: by embeddings where there is an embedder, else by one judge call.

Wording alone only joins near-duplicates: on prose it does not tell agreement from disagreement.
"""

import math
from collections.abc import Generator, Sequence

from ..judge import CLUSTER_SCHEMA, clustering, clusters
from ..types import Ballot, Consult, Deciding, Embed, Method, Poll, Reply, Verdict, Wish
from ..weights import weight
from ._similar import components, grouped, lexical, spoken

COSINE = 0.86  # of sentence embeddings: paraphrases lie above, answers to the same question that differ mostly below
NEAR_DUPLICATE = 0.95


def decide(poll: Poll) -> Deciding:
    """Cluster, then weigh the clusters."""
    ballots = sorted(spoken(poll.ballots), key=lambda ballot: ballot.member.name)
    if len(ballots) < 2:
        found = grouped(ballots, [[at] for at in range(len(ballots))], weight)
        return Verdict(found, found[0] if found else None)
    lists, trouble = yield from _clustered(poll.question, ballots)
    groups = grouped(ballots, lists, weight)
    return Verdict(groups, groups[0], trouble=trouble, judged=not trouble)


def _clustered(question: str, ballots: Sequence[Ballot]) -> Generator[Wish, Reply, tuple[list[list[int]], str]]:
    spans = tuple(ballot.found.span for ballot in ballots if ballot.found)
    vectors = yield Embed(spans)
    if vectors is not None and not isinstance(vectors, str) and len(vectors) == len(spans):
        found = vectors
        return components(len(spans), lambda one, other: cosine(found[one], found[other]) >= COSINE), ""
    reply = yield Consult(clustering(question, spans), CLUSTER_SCHEMA)
    lists = clusters(reply if isinstance(reply, str) else None, len(spans))
    if lists is not None:
        return lists, ""
    alike = components(len(spans), lexical(spans, NEAR_DUPLICATE))
    return alike, "neither an embedder nor a judge answered: only near-duplicates were joined"


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Cosine of the angle between two vectors, 0 where one has no length."""
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    length = math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))
    return dot / length if length else 0.0


method = Method(decide, judged=True, note="needs [embeddings] model, else one judge call")
