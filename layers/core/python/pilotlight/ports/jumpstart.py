"""SageMaker JumpStart's catalogue of one region."""

from typing import Protocol

from pilotlight.domain.jumpstart import JumpStartModel
from pilotlight.domain.source import Source


class JumpStartCatalogue(Protocol):
    """Models that JumpStart hosts, with how it hosts them."""

    def resolve(self, source: Source) -> JumpStartModel:
        """Return the model of a `jumpstart://` source at a pinned version (`model.source`).

        Raises: SourceNotFound, SourceRefused, AccessDenied, Throttled, Unavailable.
        """
        ...

    def eula(self, source: Source) -> str | None:
        """Return the text of the terms that must be accepted, or None where there are none to read."""
        ...
