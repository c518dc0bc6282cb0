"""A part in processes of its own: what it does to moto and to the clock ends with it, and so do they."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any


@dataclass(frozen=True)
class Broken:
    """Why a part has no figures."""

    why: str


def done(run: Callable[..., Any], limit_seconds: float, **asked: Any) -> Any:
    """Return what a part gives, or Broken where it raises, dies, or is not done in time.

    It leads a process group, which ends with it: nobody outlives a part, whatever became of it.
    """
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe(duplex=False)
    process = context.Process(target=_lead, args=(its, run, asked))
    process.start()
    its.close()  # or nobody would see that it has died
    try:
        return _said(ours, process, limit_seconds)
    finally:
        _end(process)


def _said(ours: Connection, process: BaseProcess, limit_seconds: float) -> Any:
    began = time.monotonic()
    if not ours.poll(limit_seconds):
        return Broken(f"not done after {time.monotonic() - began:.0f} s")
    try:
        return ours.recv()
    except EOFError:
        process.join(60)
        return Broken(f"its process died with {process.exitcode}")


def _end(process: BaseProcess) -> None:
    assert process.pid is not None
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()  # it may not lead its group yet
    process.join()


def _lead(its: Connection, run: Callable[..., Any], asked: dict[str, Any]) -> None:
    os.setpgrp()
    try:
        its.send(run(**asked))
    except BaseException as exc:  # noqa: BLE001 - whatever it is, the other parts go on, and it is told
        its.send(Broken("".join(traceback.format_exception(exc)[-6:]).strip()))
