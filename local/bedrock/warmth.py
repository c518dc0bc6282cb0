"""Whether a model's weights are loaded, and the windows that it is billed for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from local.bedrock.settings import Settings


class Admission(Enum):
    """What a call meets."""

    NOT_READY = auto()
    FIRST = auto()  # the first call that a loaded copy answers
    READY = auto()


@dataclass(frozen=True)
class Window:
    """Five minutes that are billed whole."""

    model_arn: str
    start: float
    end: float


@dataclass
class Session:
    """A time during which the model stayed loaded, from its first successful call on."""

    began: float
    last_call: float

    def windows(self, settings: Settings) -> int:
        """Give how many windows it fills: they follow each other from the first call on."""
        begun = int((self.last_call - self.began) // settings.window_seconds) + 1
        return begun + (1 if settings.bills_idle_window else 0)


@dataclass
class Warmth:
    """A model's one copy: cold, loading since a call asked for it, or loaded until it has idled too long."""

    loading_since: float | None = None
    sessions: list[Session] = field(default_factory=list)

    def admit(self, now: float, settings: Settings, *, never_ready: bool = False) -> Admission:
        """Say what a call meets, and start loading where it meets a cold model."""
        if self.is_loaded(now, settings) and not never_ready:
            if self.loading_since is None:
                self.answered(now)
                return Admission.READY
            self.loading_since = None
            self.sessions.append(Session(began=now, last_call=now))
            return Admission.FIRST
        if not self._is_loading(now, settings):
            self.loading_since = now
        return Admission.NOT_READY

    def answered(self, now: float) -> None:
        """Note that a call was served: the model stays loaded for another idle time."""
        if self.sessions:
            self.sessions[-1].last_call = max(self.sessions[-1].last_call, now)

    def is_loaded(self, now: float, settings: Settings) -> bool:
        """Say whether a call would be answered now."""
        if self.loading_since is not None:
            ready_at = self.loading_since + settings.cold_start_seconds
            return ready_at <= now <= ready_at + settings.idle_seconds
        return bool(self.sessions) and now <= self.sessions[-1].last_call + settings.idle_seconds

    def windows(self, model_arn: str, settings: Settings) -> list[Window]:
        """Give the windows billed so far, oldest first."""
        length = settings.window_seconds
        starts = [
            session.began + number * length for session in self.sessions for number in range(session.windows(settings))
        ]
        return [Window(model_arn, start, start + length) for start in starts]

    def _is_loading(self, now: float, settings: Settings) -> bool:
        if self.loading_since is None:
            return False
        return now < self.loading_since + settings.cold_start_seconds + settings.idle_seconds
