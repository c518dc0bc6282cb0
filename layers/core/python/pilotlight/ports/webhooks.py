"""Telling somebody's server that an invocation is over."""

from typing import Protocol


class WebhookQueue(Protocol):
    """The queue of invocations whose end is to be told."""

    def send(self, invocation_id: str, correlation_id: str) -> None:
        """Queue an id."""
        ...

    def hide(self, receipt: str, wait_seconds: int) -> None:
        """Let a received message come back after that many seconds and not before."""
        ...


class WebhookSender(Protocol):
    """Requests to servers of our users', on the public internet only."""

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        """Send a body and return the status of the answer; redirects are not followed.

        Raises: InvalidInput for an address that must not be called; Unavailable where nobody answers.
        """
        ...


class WebhookSecret(Protocol):
    """The secret with which notices are signed."""

    def __call__(self) -> str:
        """Return it. Raises: Terminal where there is none."""
        ...
