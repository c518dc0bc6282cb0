"""One HTTP connection to the API: where it is, how it is signed for, and which requests may be repeated."""

import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode

import httpx

from pilotlight_client.errors import NoAnswer, NotConfigured, NotReachable, error_of
from pilotlight_client.signing import auth_for, is_loopback

if TYPE_CHECKING:
    from botocore.session import Session

TIMEOUT = httpx.Timeout(connect=5, read=40, write=40, pool=5)  # read: API Gateway itself gives up after 29 s
ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0
PASSING_STATUSES = frozenset({502, 503, 504})
NOW_HEADER = "X-Pilotlight-Now"  # a simulated cloud's clock may run faster than this machine's


class Clock(Protocol):
    """What waiting needs of time."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""


class WallClock:
    """The time of this machine."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        time.sleep(seconds)


class Connection:
    """Sends requests and turns every refusal into an error of `errors`."""

    def __init__(
        self,
        url: str,
        *,
        profile: str | None = None,
        session: "Session | None" = None,
        correlation_id: str | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.clock: Clock = clock or WallClock()
        parsed = _parsed(self.url)
        self.is_local = is_loopback(parsed.host)
        self._told_now: datetime | None = None
        traced = {"X-Correlation-Id": correlation_id} if correlation_id else {}
        self._http = httpx.Client(
            auth=auth_for(parsed, profile=profile, session=session),
            transport=transport,
            timeout=TIMEOUT,
            trust_env=not self.is_local,  # a proxy of the environment must never stand before this machine itself
            headers={"Accept": "application/json, application/problem+json", **traced},
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def now(self) -> datetime:
        """Return the API's own time where it tells it, else this machine's."""
        return self._told_now or datetime.now(UTC)

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Return the answer to one request with a JSON body, or with `content` as its headers say.

        A GET, and whatever carries an Idempotency-Key, is repeated where nobody answered or the API was not
        able to for the moment. Nothing else is: the model would be paid for twice.

        Raises: ApiError, NotReachable, NoAnswer.
        """
        if not path.startswith("/") or path.startswith("//"):
            raise NotConfigured(f"{path!r} is not a path of this API.")
        request = self._http.build_request(
            method, self._address(path, params), json=body, content=content, headers=headers
        )
        attempts = ATTEMPTS if method == "GET" or "Idempotency-Key" in request.headers else 1
        for attempt in range(1, attempts):
            response = self._try(request)
            if isinstance(response, httpx.Response) and response.status_code not in PASSING_STATUSES:
                return self._accept(response)
            self.clock.sleep(_pause(attempt, response))
        response = self._try(request)
        if isinstance(response, NotReachable):
            raise response
        return self._accept(response)

    def _try(self, request: httpx.Request) -> httpx.Response | NotReachable:
        try:
            return self._http.send(request)
        except httpx.ConnectError:
            return NotReachable(f"No Pilotlight at {self.url}: start one with `make up` or set PILOTLIGHT_URL.")
        except httpx.ConnectTimeout:
            return NotReachable(f"{self.url} cannot be reached from here: is PILOTLIGHT_URL right, and the network up?")
        except httpx.TransportError as exc:
            told = str(exc) or type(exc).__name__
            return NoAnswer(f"{self.url} gave no answer: {told.rstrip('.')}. What became of the request is not known.")

    def _accept(self, response: httpx.Response) -> httpx.Response:
        self._hear_now(response.headers.get(NOW_HEADER))
        if response.is_success:
            return response
        raise error_of(response)

    def _hear_now(self, told: str | None) -> None:
        if told is None:
            return
        try:
            moment = datetime.fromisoformat(told)
        except ValueError:
            return
        if moment.tzinfo is not None:
            self._told_now = moment

    def _address(self, path: str, params: Mapping[str, object] | None) -> str:
        """Return the whole address. Spaces are %20, because a signature covers the query as API Gateway decodes it."""
        query = urlencode({key: value for key, value in (params or {}).items() if value is not None}, quote_via=quote)
        return f"{self.url}{path}" + (f"?{query}" if query else "")


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as exc:
        raise NotConfigured(f"{url!r} is not a URL: {exc}.") from exc
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise NotConfigured(f"{url!r} is not the URL of an API: write it as http://127.0.0.1:8000 or https://….")
    return parsed


def _pause(attempt: int, response: httpx.Response | NotReachable) -> float:
    """Return how long to wait before the next attempt: as the API says, else doubling with full jitter."""
    if isinstance(response, httpx.Response) and (told := retry_after(response)) is not None:
        return min(told, LONGEST_PAUSE_SECONDS)
    longest = FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)
    return random.uniform(longest / 2, longest)  # noqa: S311 (spreads load, hides nothing) # nosec B311


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that an answer asks to wait, or None where it does not say (or says it as a date)."""
    told = response.headers.get("Retry-After", "")
    return float(told) if told.isdecimal() else None
