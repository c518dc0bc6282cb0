"""An asynchronous endpoint of SageMaker's, spoken to without Pilotlight between: send, then look in S3 for what came.

AsyncEndpointError (a PilotlightError)
├── EndpointNotThere    no such endpoint, or one that will not answer
├── AnswerFailed        what lies at the failure location
└── AnswerExpired       it waited longer than requests may

An endpoint at zero instances takes requests; its scaling policy starts an instance because of them.
"""

# ruff: noqa: N818, PLC0415 (each name says what happened; AWS's libraries are imported on first use)

import math
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from pilotlight_client.errors import NotReachable, PilotlightError, ResultNotReadable
from pilotlight_client.payloads import MOST_INLINE_BYTES, media_type

LONGEST_TTL_SECONDS = 21_600  # Source: botocore's service model, InvokeEndpointAsync: 60 to 21600, and its default
LONGEST_RUN_SECONDS = 3600  # likewise InvocationTimeoutSeconds
LONGEST_REASON = 2000
BROKEN = frozenset({"Failed", "Deleting", "OutOfService"})
_NOT_YET = frozenset({"NoSuchKey", "404", "NotFound"})
_FORBIDDEN = frozenset({"AccessDenied", "403", "Forbidden", "AccessDeniedException"})
_SUFFIXES = {"application/json": ".json", "text/plain": ".txt", "text/csv": ".csv"}


class AsyncEndpointError(PilotlightError):
    """The root of what goes wrong with an endpoint that is spoken to directly."""


class EndpointNotThere(AsyncEndpointError):
    """There is no such endpoint, or it is in no state to answer."""


class AnswerFailed(AsyncEndpointError):
    """The container, or SageMaker for it, told of a failure instead of an answer."""


class AnswerExpired(AsyncEndpointError):
    """A request waited longer than it may; nothing will come of it."""


@dataclass(frozen=True)
class Sent:
    """A request that the endpoint has taken: where its answer or its failure will lie."""

    inference_id: str
    output_location: str
    failure_location: str | None


@dataclass(frozen=True)
class EndpointState:
    """What DescribeEndpoint tells."""

    status: str
    instances: int

    @property
    def is_cold(self) -> bool:
        """Whether nobody is there to answer yet."""
        return self.instances == 0


class AsyncEndpoint:
    """One endpoint, with the bucket that its inputs go to; without a bucket inputs go along, up to 128,000 bytes."""

    def __init__(
        self,
        name: str,
        *,
        runtime: Any,
        sagemaker: Any,
        s3: Any,
        input_bucket: str | None = None,
        input_prefix: str = "",
    ) -> None:
        self.name = name
        self._runtime = runtime
        self._sagemaker = sagemaker
        self._s3 = s3
        self._bucket = input_bucket
        self._prefix = input_prefix.strip("/")
        self._is_denied = False

    @classmethod
    def connect(
        cls,
        name: str,
        *,
        region_name: str | None = None,
        profile_name: str | None = None,
        runtime: Any = None,
        sagemaker: Any = None,
        s3: Any = None,
        input_bucket: str | None = None,
        input_prefix: str = "",
    ) -> Self:
        """Return the endpoint, with a client for each service that none was given for.

        Raises: PilotlightError when boto3 is not installed.
        """
        if not (runtime and sagemaker and s3):
            try:
                import boto3
                from botocore.config import Config
            except ImportError as exc:
                raise PilotlightError("An endpoint is spoken to with boto3: pip install boto3.") from exc
            session = boto3.Session(profile_name=profile_name, region_name=region_name)
            once = Config(retries={"total_max_attempts": 1})  # a repeat after a lost answer would be generated twice
            runtime = runtime or session.client("sagemaker-runtime", config=once)
            sagemaker = sagemaker or session.client("sagemaker")
            s3 = s3 or session.client("s3")
        return cls(
            name, runtime=runtime, sagemaker=sagemaker, s3=s3, input_bucket=input_bucket, input_prefix=input_prefix
        )

    def state(self) -> EndpointState | None:
        """Return how the endpoint is, or None where nobody may ask.

        Raises: EndpointNotThere.
        """
        from botocore.exceptions import ClientError

        with _translated(f"endpoint {self.name}"):
            try:
                told = self._sagemaker.describe_endpoint(EndpointName=self.name)
            except ClientError as exc:
                if _code(exc) in _FORBIDDEN:
                    return None
                if _code(exc) == "ValidationException":
                    raise EndpointNotThere(f"There is no endpoint {self.name}: {_message(exc)}") from exc
                raise
        state = EndpointState(
            told["EndpointStatus"],
            sum(variant.get("CurrentInstanceCount", 0) for variant in told.get("ProductionVariants", ())),
        )
        if state.status in BROKEN:
            reason = told.get("FailureReason") or "no reason is told"
            raise EndpointNotThere(f"Endpoint {self.name} is {state.status}: {reason}")
        return state

    def send(self, body: bytes, *, content_type: str, accept: str, further: Mapping[str, Any]) -> Sent:
        """Give the endpoint a request. `further` are InvokeEndpointAsync's other parameters.

        Raises: EndpointNotThere, AsyncEndpointError, NotReachable.
        """
        from botocore.exceptions import ClientError

        wanted: dict[str, Any] = {"EndpointName": self.name, "ContentType": content_type, "Accept": accept, **further}
        wanted.setdefault("InferenceId", uuid.uuid4().hex)
        wanted |= self._input(body, content_type, wanted["InferenceId"])
        with _translated(f"endpoint {self.name}"):
            try:
                told = self._runtime.invoke_endpoint_async(**wanted)
            except ClientError as exc:
                if _code(exc) in ("ValidationError", "ValidationException"):
                    raise EndpointNotThere(f"Endpoint {self.name} took no request: {_message(exc)}") from exc
                raise
        return Sent(told.get("InferenceId", wanted["InferenceId"]), told["OutputLocation"], told.get("FailureLocation"))

    def look(self, sent: Sent) -> bytes | None:
        """Return what came of a request, or None while nothing did.

        Raises: AnswerFailed with what the failure location holds; AsyncEndpointError, NotReachable.
        """
        output = self._read(sent.output_location)
        if output is not None:
            return output
        failure = self._read(sent.failure_location) if sent.failure_location else None
        if failure is not None:
            reason = failure.decode("utf-8", errors="replace").strip()[:LONGEST_REASON] or "no reason was kept"
            raise AnswerFailed(f"Request {sent.inference_id} to {self.name} failed: {reason}")
        return None

    def still(self, sent: Sent, waited_seconds: float) -> str:
        """Return in a sentence that a request has no answer yet, and what that may be due to."""
        try:
            state = self.state()
        except PilotlightError as error:
            why = str(error)
        else:
            why = f"the endpoint is {state.status} with {state.instances} instances" if state else ""
        if self._is_denied:
            why = f"S3 lets nobody here see whether {sent.output_location} is there (s3:GetObject, s3:ListBucket)"
        told = f": {why}" if why else ""
        return (
            f"Request {sent.inference_id} to {self.name} has no answer after {waited_seconds:.0f} s{told}. It goes on, "
            f"and its answer will lie at {sent.output_location}."
        )

    def _input(self, body: bytes, content_type: str, inference_id: str) -> dict[str, Any]:
        """Return the request itself, or where it was put."""
        if self._bucket is None:
            if len(body) > MOST_INLINE_BYTES:
                raise AsyncEndpointError(
                    f"The request holds {len(body):,} bytes; above {MOST_INLINE_BYTES:,} it needs an input_bucket."
                )
            return {"Body": body}
        suffix = _SUFFIXES.get(media_type(content_type), "")
        key = "/".join(part for part in (self._prefix, f"{inference_id}{suffix}") if part)
        with _translated(f"s3://{self._bucket}/{key}"):
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)
        return {"InputLocation": f"s3://{self._bucket}/{key}"}

    def _read(self, location: str) -> bytes | None:
        """Return what lies there, or None: without the right to list a bucket, what is not there is forbidden."""
        from botocore.exceptions import ClientError

        parts = urlsplit(location)
        with _translated(location):
            try:
                answer = self._s3.get_object(Bucket=parts.netloc, Key=parts.path.removeprefix("/"))
                return bytes(answer["Body"].read())
            except ClientError as exc:
                if _code(exc) in _NOT_YET:
                    return None
                if _code(exc) in _FORBIDDEN:
                    self._is_denied = True
                    return None
                raise


def longest_wait_seconds(further: Mapping[str, Any]) -> float:
    """Return the seconds after which nothing can come of a request any more."""
    ttl = further.get("RequestTTLSeconds", LONGEST_TTL_SECONDS)
    return math.fsum([ttl, further.get("InvocationTimeoutSeconds", LONGEST_RUN_SECONDS)])


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn what AWS's clients raise into our own errors."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NotConnected

    try:
        yield
    except (NotConnected, HTTPClientError) as exc:
        raise NotReachable(f"{what} cannot be reached: {type(exc).__name__}.") from exc
    except ClientError as exc:
        raise AsyncEndpointError(f"AWS refused {what}: {_code(exc)}: {_message(exc)}") from exc
    except BotoCoreError as exc:
        raise ResultNotReadable(f"{what} cannot be used: {exc}") from exc


def _code(exc: Any) -> str:
    return str(exc.response.get("Error", {}).get("Code", ""))


def _message(exc: Any) -> str:
    return str(exc.response.get("Error", {}).get("Message", ""))
