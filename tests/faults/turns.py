"""Actors that take turns where a seed says: every call that one makes to the outside may let another one go first.

Each is a thread, and one of them runs at a time: an interleaving is the same each time.
"""

import random
import threading
from collections.abc import Callable
from typing import Any


class Turns:
    """Runs actors together, changing between them at random at each call of theirs to a port."""

    def __init__(self, seed: int) -> None:
        self._luck = random.Random(seed)
        self._turn: dict[threading.Thread, threading.Semaphore] = {}
        self._over = threading.Event()
        self.surprises: list[BaseException] = []

    def run(self, actors: list[Callable[[], object]]) -> None:
        """Run them all to their ends; what one raises is among `surprises`."""
        self._over.clear()
        threads = [threading.Thread(target=self._act, args=(actor,), daemon=True) for actor in actors]
        self._turn = {thread: threading.Semaphore(0) for thread in threads}
        for thread in threads:
            thread.start()
        self._hand_over()
        self._over.wait()
        for thread in threads:
            thread.join()

    def between(self) -> None:
        """Let another actor go first, or not."""
        mine = self._turn.get(threading.current_thread())
        if mine is not None:
            self._hand_over()
            mine.acquire()

    def _hand_over(self) -> None:
        self._luck.choice(list(self._turn.values())).release()

    def _act(self, actor: Callable[[], object]) -> None:
        me = threading.current_thread()
        self._turn[me].acquire()
        try:
            actor()
        except BaseException as exc:  # noqa: BLE001 - whatever it is, the others go on, and it is told
            self.surprises.append(exc)
        del self._turn[me]
        if self._turn:
            self._hand_over()
        else:
            self._over.set()


class Interrupted:
    """A port whose every call lets others act before it and after it."""

    def __init__(self, port: Any, turns: Turns) -> None:
        vars(self).update(_port=port, _turns=turns)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._port, name, value)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._turns.between()
            try:
                return found(*args, **kwargs)
            finally:
                self._turns.between()

        return call
