"""Keys a caller brings with a request, over authenticated HTTP: used for that request, and kept nowhere.

They travel in a context variable; a deployment asked with one is an endpoint of its own, so that a wrong key of one
caller closes nothing for the others. docs/decisions/004 says why nothing is stored.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from routing.ports import Directory
from routing.types import Ask, Deployment, Resolution

from .carried import carried

HEADER = "x-plenum-key"  # `openai=sk-…`, once per provider


def read(values: Sequence[str]) -> Mapping[str, str]:
    """Provider → key, from header values. Raises ValueError for what is no such pair."""
    found: dict[str, str] = {}
    for value in values:
        provider, equals, key = value.strip().partition("=")
        if not (
            provider and equals and 0 < len(key) <= 8192 and key.isascii() and key.isprintable() and " " not in key
        ):
            raise ValueError(HEADER)
        found[provider.lower()] = key
    return found


class Brought:
    """A directory in which deployments of a provider whose key was brought are usable, and endpoints of their own."""

    def __init__(self, beneath: Directory) -> None:
        self._beneath = beneath

    def deployments(self) -> Sequence[Deployment]:
        """As beneath."""
        found = self._beneath.deployments()
        return found if not carried.get() else [_own(d) for d in found]

    def resolve(self, ask: Ask) -> Resolution:
        """As beneath."""
        found = self._beneath.resolve(ask)
        if not carried.get():
            return found
        return replace(found, steps=tuple(tuple(map(_own, step)) for step in found.steps))


def _own(deployment: Deployment) -> Deployment:
    key = carried.get().get(deployment.provider)
    if key is None:
        return deployment
    name, _, rest = deployment.endpoint.partition("|")
    print_ = hashlib.blake2s(key.encode(), digest_size=4).hexdigest()
    status = "available" if deployment.status == "no_key" else deployment.status
    return replace(deployment, endpoint=f"{name}|{print_}|{rest.partition('|')[2]}", status=status)
