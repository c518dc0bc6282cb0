"""Requests to servers of our users': https alone, to public addresses alone, and to the one that was looked at.

A redirect is not followed: it would lead to an address that nobody has looked at, or nobody has named.
"""

from collections.abc import Callable
from ssl import SSLContext
from urllib.parse import urlsplit

from urllib3 import Timeout
from urllib3.exceptions import HTTPError, LocationParseError, MaxRetryError, SSLError

from pilotlight.adapters.public_addresses import ForbiddenAddressError, Resolve, guarded_pools, resolve_by_dns
from pilotlight.domain.errors import InvalidInput, Unavailable

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
USER_AGENT = "Pilotlight-Webhook/1"


class HttpsWebhooks:
    """Implements `ports.WebhookSender`."""

    def __init__(
        self,
        *,
        allows_loopback: bool = False,
        resolve: Resolve = resolve_by_dns,
        ssl_context: SSLContext | None = None,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """`allows_loopback` is for tests on one machine; without an `ssl_context` the system says whom to trust."""
        exempt: Callable[[str], bool] = LOOPBACK.__contains__ if allows_loopback else _nobody
        self._pools = guarded_pools(
            exempt=exempt,
            resolve=resolve,
            timeout=Timeout(connect=CONNECT_SECONDS, read=answer_seconds),
            head_seconds=answer_seconds,
            per_host=1,
            ssl_context=ssl_context,
        )

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        """Send a body and return the status of the answer, of which nothing else is read.

        Raises: InvalidInput for an address that must not be called; Unavailable where nobody answers.
        """
        host = urlsplit(url).hostname or ""
        if urlsplit(url).scheme != "https":
            raise InvalidInput("The webhook's address is not an https address.", field="webhook", rule="https")
        try:
            answer = self._pools.request(
                "POST",
                url,
                body=body,
                headers={**headers, "User-Agent": USER_AGENT},
                redirect=False,
                retries=False,
                preload_content=False,
            )
        except (HTTPError, OSError) as exc:
            raise _translated(exc, host) from exc
        answer.close()
        return answer.status


def _translated(error: Exception, host: str) -> InvalidInput | Unavailable:
    cause = error.reason if isinstance(error, MaxRetryError) else error
    if isinstance(cause, ForbiddenAddressError):
        return InvalidInput(
            f"The webhook's host {host} has an address that is not public, and is not called.",
            field="webhook",
            rule="public addresses",
        )
    if isinstance(cause, LocationParseError):
        return InvalidInput("The webhook's address cannot be read.", field="webhook", rule="an https address")
    what = "its certificate was not accepted" if isinstance(cause, SSLError) else type(cause).__name__
    return Unavailable(f"The webhook's host {host} was not reached: {what}.")


def _nobody(_host: str) -> bool:
    return False
