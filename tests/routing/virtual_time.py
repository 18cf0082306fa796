"""An asyncio loop whose seconds pass as soon as nobody has anything to do: real tasks and timeouts, no waiting."""

import asyncio
import selectors


class _Leaping(selectors.DefaultSelector):
    loop: "VirtualLoop"

    def select(self, timeout=None):
        if timeout is None:
            return super().select()
        if not (ready := super().select(0)):
            self.loop.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Use as `loop_factory`; its clock is `loop.time`, also for what takes an injected clock."""

    def __init__(self) -> None:
        selector = _Leaping()
        selector.loop = self
        self.now = 1000.0
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def virtual_now() -> float:
    return asyncio.get_running_loop().time()


BACKEND = ("asyncio", {"loop_factory": VirtualLoop})
