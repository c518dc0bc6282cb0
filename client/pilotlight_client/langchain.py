"""LangChain's LLM over a deployment of Pilotlight's, or over an asynchronous endpoint of SageMaker's by itself.

    from pilotlight_client.langchain import PilotlightLLM

    llm = PilotlightLLM(deployment="assistant", model_kwargs={"max_tokens": 200})
    print(llm.invoke("What keeps a model warm?"))

Both wait through a cold start, up to a bound. Needs the extra: pip install 'pilotlight[langchain]', from a checkout
pip install -e '.[langchain]'. Nothing else of the client imports this.
"""

import asyncio
import math
import time
from collections.abc import Generator, Iterable
from enum import StrEnum
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

try:
    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models.llms import LLM
    from langchain_core.outputs import Generation, LLMResult
except ImportError as exc:  # pragma: no cover (the tests have it)
    raise ImportError("LangChain's classes need langchain-core: pip install 'pilotlight[langchain]'.") from exc
from pydantic import ConfigDict, Field, PrivateAttr, field_validator

from pilotlight_client import waiting
from pilotlight_client.api import Pilotlight
from pilotlight_client.async_endpoint import AnswerExpired, AsyncEndpoint, Sent, longest_wait_seconds
from pilotlight_client.content_handlers import Answer, GeneratedText, LLMContentHandler, cut_at, require_handler
from pilotlight_client.errors import ModelIsCold, TimedOut
from pilotlight_client.views import InvocationView, Parameters

__all__ = ["GeneratedText", "LLMContentHandler", "PilotlightLLM", "SagemakerAsyncEndpoint", "WhenCold"]

STATE_EVERY_SECONDS = 30.0  # how often an endpoint is asked whether it can still answer

Steps = Generator[float, None, str]
"""A call on its way: it yields the seconds until it is worth going on, and returns the text."""


class WhenCold(StrEnum):
    """What a call does where nobody is there to answer: wait, or wake the model and raise ModelIsCold at once."""

    WAIT = "wait"
    RAISE = "raise"


class Time(Protocol):
    """What waiting needs of time, with a thread and without one."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""

    async def pause(self, seconds: float) -> None:
        """Return after that many seconds, and let others work meanwhile."""


class WallTime:
    """The time of this machine."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        time.sleep(seconds)

    async def pause(self, seconds: float) -> None:
        """Return after that many seconds, and let others work meanwhile."""
        await asyncio.sleep(seconds)


class _Waiting(LLM):
    """An LLM whose calls take steps, and wait between them: with a thread of their own, or with none."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    when_cold: WhenCold = WhenCold.WAIT
    poll_seconds: float | None = Field(default=None, gt=0)

    _time: Time = PrivateAttr(default_factory=WallTime)

    def _steps(self, prompt: str, stop: list[str] | None, wanted: dict[str, Any]) -> Steps:
        """Return a call on its way."""
        raise NotImplementedError

    def _call(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> str:
        """Return the text of one answer."""
        return self._generate([prompt], stop, run_manager, **kwargs).generations[0][0].text

    async def _acall(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> str:
        """Return the text of one answer."""
        return (await self._agenerate([prompt], stop, run_manager, **kwargs)).generations[0][0].text

    def _generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 (an answer comes in one piece)
        **kwargs: Any,
    ) -> LLMResult:
        """Return an answer to each prompt. All are sent before any is waited for: a cold start is waited for once."""
        calls = [self._steps(prompt, stop, {**self.model_kwargs, **kwargs}) for prompt in prompts]
        due = dict.fromkeys(range(len(calls)), -math.inf)
        texts: dict[int, str] = {}
        while due:
            number = min(due, key=due.__getitem__)
            if (early := due[number] - self._time.monotonic()) > 0:
                self._time.sleep(early)
            pause = _next(calls[number])
            if isinstance(pause, str):
                texts[number] = pause
                del due[number]
            else:
                due[number] = self._time.monotonic() + pause
        return _result(texts[number] for number in range(len(calls)))

    async def _agenerate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> LLMResult:
        """Return an answer to each prompt. Only requests hold a thread, so that hundreds of calls may wait at once."""
        calls = [self._steps(prompt, stop, {**self.model_kwargs, **kwargs}) for prompt in prompts]
        waits = [asyncio.ensure_future(self._waited_for(steps)) for steps in calls]
        try:
            return _result(await asyncio.gather(*waits))
        finally:
            for wait in waits:
                wait.cancel()  # where one failed, nobody reads the others' answers

    async def _waited_for(self, steps: Steps) -> str:
        while not isinstance(pause := await asyncio.to_thread(_next, steps), str):
            await self._time.pause(pause)
        return pause


class PilotlightLLM(_Waiting):
    """A deployment of Pilotlight's, whatever it runs on; the API wakes a cold one.

    Without a content handler a text model is asked in Pilotlight's own form: `model_kwargs` are its parameters. With
    one, its bytes reach the container as they are. `max_wait_seconds` bounds a call with its cold start.
    """

    deployment: str
    url: str | None = Field(default=None, repr=False)
    profile: str | None = None
    content_handler: Any = None
    max_wait_seconds: float = Field(default=1800.0, gt=0)
    client: Any = Field(default=None, exclude=True, repr=False)

    @field_validator("content_handler")
    @classmethod
    def _handles(cls, value: Any) -> Any:
        return value if value is None else require_handler(value)

    @property
    def _llm_type(self) -> str:
        return "pilotlight"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """Return what tells one model from another in caches and traces: nothing secret."""
        return {"deployment": self.deployment, "at": _place(self._pilotlight().url), "model_kwargs": self.model_kwargs}

    def _steps(self, prompt: str, stop: list[str] | None, wanted: dict[str, Any]) -> Steps:
        ends = self._time.monotonic() + self.max_wait_seconds
        pilotlight = self._pilotlight()
        view = self._submit(pilotlight, prompt, stop, wanted)
        while not waiting.is_over(view):
            if self.when_cold is WhenCold.RAISE and view["was_cold"]:
                raise ModelIsCold(f"{self.deployment} is cold, and wakes for invocation {view['id']}: ask later.", view)
            left = ends - self._time.monotonic()
            if left <= 0:
                raise TimedOut(
                    f"Invocation {view['id']} is still {view['status']} after {self.max_wait_seconds:g} s; it goes on.",
                    view,
                )
            yield min(self.poll_seconds or _told_pause(view), left)
            view = pilotlight.answer(view["id"])
        result = pilotlight.result_of(view)
        if self.content_handler is None:
            return result.text
        return cut_at(cast(str, self.content_handler.transform_output(Answer(result.content))), stop)

    def _submit(
        self, pilotlight: Pilotlight, prompt: str, stop: list[str] | None, wanted: dict[str, Any]
    ) -> InvocationView:
        if self.content_handler is None:
            parameters = cast(Parameters, {**wanted, **({"stop": stop} if stop else {})})
            return pilotlight.invoke(self.deployment, prompt, parameters=parameters, wait_seconds=0)
        body = self.content_handler.transform_input(prompt, wanted)
        accept = self.content_handler.accepts
        return pilotlight.submit(
            self.deployment, body, self.content_handler.content_type, accept=None if accept == "*/*" else accept
        )

    def _pilotlight(self) -> Pilotlight:
        if self.client is None:
            self.client = Pilotlight(self.url, profile=self.profile)
        return cast(Pilotlight, self.client)


class SagemakerAsyncEndpoint(_Waiting):
    """An asynchronous endpoint of SageMaker's, spoken to with boto3 and no Pilotlight between.

    The input goes to `input_bucket` (without one it goes along, up to 128,000 bytes), the answer is looked for in S3. A
    call may take `max_request_timeout` seconds, and one that finds no instance `cold_start_timeout` more.
    `endpoint_kwargs` are further parameters of InvokeEndpointAsync, such as RequestTTLSeconds.
    """

    endpoint_name: str
    content_handler: Any = Field(default_factory=GeneratedText)
    input_bucket: str | None = None
    input_prefix: str = ""
    region_name: str | None = None
    credentials_profile_name: str | None = None
    endpoint_kwargs: dict[str, Any] = Field(default_factory=dict)
    max_request_timeout: float = Field(default=90.0, gt=0)
    cold_start_timeout: float = Field(default=1800.0, ge=0)
    client: Any = Field(default=None, exclude=True, repr=False)
    sm_client: Any = Field(default=None, exclude=True, repr=False)
    s3_client: Any = Field(default=None, exclude=True, repr=False)

    _endpoint: AsyncEndpoint | None = PrivateAttr(default=None)

    @field_validator("content_handler")
    @classmethod
    def _handles(cls, value: Any) -> Any:
        return require_handler(value)

    @property
    def _llm_type(self) -> str:
        return "sagemaker-async-endpoint"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """Return what tells one model from another in caches and traces: nothing secret."""
        return {"endpoint_name": self.endpoint_name, "region_name": self.region_name, "model_kwargs": self.model_kwargs}

    def _steps(self, prompt: str, stop: list[str] | None, wanted: dict[str, Any]) -> Steps:
        endpoint, handler = self._connected(), self.content_handler
        state = endpoint.state()
        sent = endpoint.send(
            handler.transform_input(prompt, wanted),
            content_type=handler.content_type,
            accept=handler.accepts,
            further=self.endpoint_kwargs,
        )
        is_cold = state is None or state.is_cold
        if state and state.is_cold and self.when_cold is WhenCold.RAISE:
            raise ModelIsCold(
                f"Endpoint {self.endpoint_name} has no instance, and gets one for request {sent.inference_id}: its "
                f"answer will lie at {sent.output_location}."
            )
        output = yield from self._look(endpoint, sent, self.max_request_timeout + is_cold * self.cold_start_timeout)
        return cut_at(cast(str, handler.transform_output(Answer(output))), stop)

    def _look(self, endpoint: AsyncEndpoint, sent: Sent, longest_seconds: float) -> Generator[float, None, bytes]:
        """Return what came of a request, looking for it until its time is over.

        Raises: TimedOut; AnswerExpired where nothing can come any more; and what looking raises.
        """
        began = asked = self._time.monotonic()
        while (output := endpoint.look(sent)) is None:
            now = self._time.monotonic()
            waited = now - began
            if waited >= longest_wait_seconds(self.endpoint_kwargs):
                raise AnswerExpired(f"Request {sent.inference_id} to {self.endpoint_name} expired unanswered.")
            if waited >= longest_seconds:
                raise TimedOut(endpoint.still(sent, waited))
            if now - asked >= STATE_EVERY_SECONDS:
                endpoint.state()
                asked = now
            yield min(self.poll_seconds or waiting.ASSUMED_RETRY_SECONDS, longest_seconds - waited)
        return output

    def _connected(self) -> AsyncEndpoint:
        if self._endpoint is None:
            self._endpoint = AsyncEndpoint.connect(
                self.endpoint_name,
                region_name=self.region_name,
                profile_name=self.credentials_profile_name,
                runtime=self.client,
                sagemaker=self.sm_client,
                s3=self.s3_client,
                input_bucket=self.input_bucket,
                input_prefix=self.input_prefix,
            )
        return self._endpoint


def _result(texts: Iterable[str]) -> LLMResult:
    return LLMResult(generations=[[Generation(text=text)] for text in texts])


def _next(steps: Steps) -> float | str:
    """Return the seconds until a call goes on, or its text: what ends a generator may not leave a thread."""
    try:
        return next(steps)
    except StopIteration as done:
        return cast(str, done.value)


def _told_pause(view: InvocationView) -> float:
    told = view.get("retry_after_seconds")
    return waiting.ASSUMED_RETRY_SECONDS if told is None else max(float(told), waiting.SHORTEST_RETRY_SECONDS)


def _place(url: str) -> str:
    """Return where an API is, without what somebody may have written before its host."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"
