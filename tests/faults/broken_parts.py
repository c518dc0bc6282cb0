"""Parts that go wrong in every way there is, and one that does not: by this name another process finds them, too."""

import os
import signal
import time
from functools import partial
from pathlib import Path

FIGURES = (3, 1, 0)


def gives(seed: int) -> tuple[int, ...]:
    """Give figures."""
    return FIGURES


def raises(seed: int) -> tuple[int, ...]:
    """Raise what nobody thought of."""
    raise KeyError("seed")


def dies(seed: int) -> tuple[int, ...]:
    """End as those end whose memory the machine wants back."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable: it is dead")


def loses_a_worker(seed: int) -> tuple[int, ...]:
    """Share runs out to a process that ends like this, and wait for them."""
    from tests.faults import workers  # which takes seconds, of every process that needs something else of here

    with workers.workers(1, start=partial(dies, seed)) as pool:
        return tuple(len(result.calls) for result in workers.clean(pool, ["deploy"]).values())


def never_ends(seed: int) -> tuple[int, ...]:
    """Wait for what does not come."""
    signal.pause()
    raise AssertionError("unreachable: nobody wakes it")


def leaves_a_child(seed: int) -> int:
    """Give the process id of somebody who stays."""
    if (child := os.fork()) == 0:
        signal.pause()
    return child


def waits_for(folder: Path, mine: str, other: str, seed: int) -> tuple[int, ...]:
    """Give figures once the other one has begun."""
    (folder / mine).touch()
    deadline = time.monotonic() + 60
    while not (folder / other).exists():
        assert time.monotonic() < deadline, "nobody came"
        time.sleep(0.05)
    return FIGURES
