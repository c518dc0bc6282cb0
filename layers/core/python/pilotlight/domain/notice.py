"""What people have been told of a subject, so that it is told once."""

from pilotlight.domain.values import Model


class Notice(Model):
    """The latest word that was told of a subject, and one that was seen once and is told if it is seen again."""

    told: str | None = None
    seen_once: str | None = None
