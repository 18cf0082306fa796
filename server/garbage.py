"""When the garbage collector looks. A call makes a thousand objects and hardly a cycle: by default that is a tenth of its CPU."""

import gc

THRESHOLDS = 50_000, 20, 20


def begin() -> None:
    """What the imports made lives as long as the process: no collection need look at it again."""
    gc.enable()
    gc.freeze()


def settle(app: object) -> None:
    """Nor at what opening the app made; from now on it looks when calls have left something behind."""
    del app
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
