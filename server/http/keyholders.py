"""Who holds a good token: a static one of the configuration, a virtual key of the store, or an access token (OAuth)."""

from starlette.types import Scope

from routing.errors import Refusal
from server.house import House

from .guard import Principal, Tokens


class Keyholders:
    """A `Verifier`. Static tokens come first: they need nothing opened."""

    def __init__(self, static: Tokens, house: House) -> None:
        self._static = static
        self._house = house

    async def __call__(self, scope: Scope, token: str | None) -> Principal | None:
        """The principal behind this token, None where it is nobody's."""
        found = await self._static(scope, token)
        if found is not None or not token:
            return found
        try:
            app = await self._house.app()
        except Refusal:  # a house that does not open has no keyholders
            return None
        known = None if app.security is None else await app.security.known(token)
        return None if known is None else Principal(known.name, known.scopes)
