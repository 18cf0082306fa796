"""`/metrics`: Prometheus. Counting begins when the app opens; without HTTP nobody scrapes, so nobody counts."""

from collections.abc import Sequence

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from server.house import House
from server.telemetry.metrics import Metrics


def routes(house: House) -> Sequence[BaseRoute]:
    """The routes of this file."""
    metrics = Metrics()
    house.app.watchers.append(lambda app: app.hub.subscribe(metrics))

    async def scrape(request: Request) -> Response:
        del request
        app = await house.app()
        budgets = await app.costs.budgets() if app.costs is not None else ()
        return Response(metrics.scrape(budgets), media_type=CONTENT_TYPE_LATEST)

    return [Route("/metrics", scrape)]
