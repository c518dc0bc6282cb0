"""What an asynchronous endpoint has been handed and not answered, as it measures itself.

Source: Amazon SageMaker Developer Guide, "Monitor an asynchronous endpoint": sizes count what is being processed, too.
"""

from pydantic import Field

from pilotlight.domain.values import Model, Moment


class BacklogSizes(Model):
    """The newest measures: of the whole endpoint, and of its oldest request (seconds)."""

    size: int = Field(ge=0)
    oldest_age_seconds: float | None = None
    measured_at: Moment | None = None
