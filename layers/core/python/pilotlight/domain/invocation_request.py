"""What a caller asks of a model: a conversation, a body for its container, or where such a body lies."""

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from pilotlight.domain.values import Model, Request
from pilotlight.domain.webhook import WebhookUrl

DEFAULT_MAX_TOKENS = 512
JSON = "application/json"
LONGEST_TIMEOUT_SECONDS = 3600  # Source: botocore's service model, InvokeEndpointAsync
LARGEST_INPUT_BYTES = 1_000_000_000  # Source: Amazon SageMaker Developer Guide, "Asynchronous inference": up to 1 GB
DEEPEST_PAYLOAD = 100
MEDIA_TYPE_PATTERN = r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+*-]+(;[ -~]*)?$"

INPUT_PATTERN = r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[ -~]*[!-~]$"

MediaType = Annotated[str, StringConstraints(min_length=3, max_length=256, pattern=MEDIA_TYPE_PATTERN)]
InputLocation = Annotated[str, StringConstraints(max_length=1024, pattern=INPUT_PATTERN)]


class Form(StrEnum):
    """What is asked: text to be generated, or whatever the container makes of a body."""

    TEXT = "text"
    BODY = "body"


class Parameters(Request):
    """How to sample. What is not set is the model's own default; what a backend lacks is refused, never dropped."""

    max_tokens: int | None = Field(default=None, ge=1, le=131_072)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=1, le=1000)
    stop: tuple[Annotated[str, StringConstraints(min_length=1, max_length=200)], ...] | None = Field(
        default=None, min_length=1, max_length=16
    )
    seed: int | None = Field(default=None, ge=0, le=2**63 - 1)
    repetition_penalty: float | None = Field(default=None, gt=0, le=2)

    @property
    def token_limit(self) -> int:
        """How many tokens the answer may have."""
        return self.max_tokens or DEFAULT_MAX_TOKENS


class ChatMessage(Request):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: Annotated[str, StringConstraints(max_length=4_000_000)]


class Options(Request):
    """What may be said of any invocation. `timeout_seconds` is how long the container may work on it."""

    accept: MediaType | None = None
    timeout_seconds: int | None = Field(default=None, ge=1, le=LONGEST_TIMEOUT_SECONDS)
    webhook: WebhookUrl | None = Field(default=None, repr=False)


_NULL = {"type": "null"}
_NOT_RAW: dict[str, dict[str, Any]] = {"raw": {"const": False}}
_NO_CONVERSATION: dict[str, dict[str, Any]] = {**_NOT_RAW, "parameters": {"maxProperties": 0}}


def _alone(name: str, kind: dict[str, Any], **also: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a request that asks by this field and by none of the others."""
    others = {other: _NULL for other in ("prompt", "messages", "payload", "input") if other != name}
    return {"required": [name], "properties": {**others, **also, name: kind}}


class InvocationRequest(Options):
    """What a caller asks, by one of `prompt`, `messages`, `payload` and `input`.

    `raw` sends the prompt as it is, without the chat template. `payload` is sent to the container as it is, in JSON;
    `input` is where its body lies, of the type `content_type`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                _alone("prompt", {"type": "string"}, content_type=_NULL),
                _alone("messages", {"type": "array"}, content_type=_NULL, **_NOT_RAW),
                _alone("payload", {"not": _NULL}, content_type=_NULL, **_NO_CONVERSATION),
                _alone("input", {"type": "string"}, **_NO_CONVERSATION),
            ]
        }
    )

    prompt: Annotated[str, StringConstraints(min_length=1, max_length=4_000_000)] | None = None
    messages: tuple[ChatMessage, ...] | None = Field(default=None, min_length=1, max_length=1000)
    payload: Any = Field(default=None, repr=False)
    input: InputLocation | None = None
    content_type: MediaType | None = None
    parameters: Parameters = Parameters()
    raw: bool = False

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        asked = [name for name in ("prompt", "messages", "payload", "input") if getattr(self, name) is not None]
        if len(asked) != 1:
            raise ValueError("give one of prompt, messages, payload and input")
        if self.raw and self.prompt is None:
            raise ValueError("raw goes with prompt: messages are always rendered through the chat template")
        if self.form is Form.BODY and self.parameters != Parameters():
            raise ValueError("parameters go with prompt or messages: write them into what the container is sent")
        if self.content_type and self.input is None:
            raise ValueError("content_type goes with input: a payload is JSON")
        if self.payload is not None:
            _require_writable(self.payload)
        return self

    @property
    def form(self) -> Form:
        """What is asked."""
        return Form.TEXT if self.prompt is not None or self.messages is not None else Form.BODY

    @property
    def conversation(self) -> tuple[ChatMessage, ...]:
        """The messages, or the prompt as the user's only one."""
        return self.messages or (ChatMessage(role="user", content=self.prompt or ""),)

    @property
    def input_length(self) -> int:
        """How many characters were sent: counted, never logged; none where only their place was told."""
        if self.form is Form.TEXT:
            return sum(len(message.content) for message in self.conversation)
        return 0 if self.input else len(payload_bytes(self.payload))


class RawInvocation(Options):
    """A body that its caller sent as it is, of a type other than JSON."""

    content_type: MediaType
    data: bytes = Field(repr=False)

    @property
    def form(self) -> Form:
        """What is asked."""
        return Form.BODY

    @property
    def input_length(self) -> int:
        """How many bytes were sent."""
        return len(self.data)

    def lying_at(self, location: str) -> InvocationRequest:
        """Return the same request with its body at a place in a bucket."""
        return InvocationRequest(
            input=location,
            content_type=self.content_type,
            accept=self.accept,
            timeout_seconds=self.timeout_seconds,
            webhook=self.webhook,
        )


class Content(Model):
    """What a container is sent: bytes, or where they lie; their type, and the type that its answer shall have."""

    data: bytes | None = Field(default=None, repr=False)
    location: str | None = None
    content_type: str = JSON
    accept: str | None = None


class InputRequest(Request):
    """What a caller wants to upload, to name it as `input` afterwards."""

    content_type: MediaType = "application/octet-stream"
    size_bytes: int | None = Field(default=None, ge=0, le=LARGEST_INPUT_BYTES)


def payload_bytes(payload: Any) -> bytes:
    """Return a JSON value as it is sent."""
    return json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _require_writable(payload: Any) -> None:
    """Refuse what was read as JSON, and is none: NaN, half a character; and what is nested deeper than we can carry."""
    layer, depth = [payload], 0
    while layer := [each for value in layer for each in _within(value)]:
        depth += 1
        if depth > DEEPEST_PAYLOAD:
            raise ValueError(f"payload is nested more than {DEEPEST_PAYLOAD} levels deep")
    try:
        payload_bytes(payload)
    except ValueError as exc:
        raise ValueError("payload holds what JSON cannot say: NaN, Infinity, or half of a character") from exc


def _within(value: Any) -> Iterable[Any]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()
