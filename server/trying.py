"""The laboratory of one configuration: experiments around its manager, shadows only where they take nobody's place."""

import math
from collections.abc import Callable

from routing.admission import Admission
from routing.experiments.aside import Aside
from routing.experiments.laboratory import Laboratory, Shadowing
from routing.ports import Directory
from routing.prepared import Step
from routing.store.trials import Trials
from routing.types import Receipt

from . import settings
from .app import Manager
from .config import Config
from .protection import Protection


def laboratory(config: Config, manager: Manager, trials: Trials, shadowing: Shadowing) -> Manager:
    """The manager itself where nothing is tried."""
    found = settings.experiments(config)
    return Laboratory(manager, found, trials, shadowing) if found else manager


def shadowing(aside: Aside, prepare: Step, directory: Directory, shield: Protection) -> Shadowing:
    """Shadows wait for nobody and nobody for them: they are left out where a line stands or half of a limit is in use."""
    return Shadowing(aside, prepare, _room(directory, shield.admission, shield))


def _room(directory: Directory, admission: Admission, shield: Protection) -> Callable[[Receipt], bool]:
    def _free(explained: Receipt) -> bool:
        if admission.view().queued or not explained.candidates:
            return False
        first = explained.candidates[0][0]
        endpoints = [d.endpoint for d in directory.deployments() if d.name == first]
        lines = [shield.limiter.view(endpoint) for endpoint in endpoints]
        return all(
            not line.queued
            and line.left.get("concurrency", math.inf) > line.running
            and line.left.get("rpm", math.inf) >= 2
            for line in lines
        )

    return _free
