"""A part in a process of its own: what it does to moto and to the clock ends with it."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

Done = TypeVar("Done")


def done(run: Callable[..., Done], **asked: Any) -> Done:
    """Return what a part gives."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(run, **asked).result()
