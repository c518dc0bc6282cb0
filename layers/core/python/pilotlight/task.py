"""The edge of every Lambda but the API: what a handler is given, and in which two ways it may fail.

It parses the event, binds the ids to the log, and lets an error leave as exactly `Retryable` or `Terminal`, which is
what the state machines know.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from aws_lambda_powertools import Logger
from pydantic import ValidationError

from pilotlight.domain.errors import PilotlightError, Retryable, Terminal
from pilotlight.domain.values import Model
from pilotlight.runtime import runtime

Work = TypeVar("Work", bound=Model)
IDS = ("deployment", "generation", "artifact_id", "wake_id", "correlation_id")


def task(model: type[Work]) -> Callable[[Callable[[Work], Any]], Callable[[Any, Any], Any]]:
    """Return the decorator of a handler of such tasks.

    The handler gets the parsed task; what it returns must be JSON. Raises: Retryable, Terminal; nothing else of ours.
    """

    def decorate(handle: Callable[[Work], Any]) -> Callable[[Any, Any], Any]:
        @wraps(handle)
        def handler(event: Any, context: Any) -> Any:
            logger = runtime().logger
            logger.clear_state()
            try:
                work = model.model_validate(event)
            except ValidationError as exc:
                problems = exc.errors(include_input=False, include_context=False, include_url=False)
                logger.error("a task was not understood", extra={"problems": problems})  # noqa: TRY400 (the input may be a prompt)
                raise Terminal(f"The task is not a {model.__name__}.", problems=problems) from exc
            told = {name: value for name in IDS if (value := getattr(work, name, None)) is not None}
            logger.append_keys(function_request_id=context.aws_request_id, **told)
            return _guarded(logger, handle, work)

        return handler

    return decorate


def _guarded(logger: Logger, handle: Callable[[Work], Any], work: Work) -> Any:
    try:
        return handle(work)
    except Retryable as exc:
        logger.warning("a task may be tried again", extra={"code": exc.code, "reason": exc.message})
        raise Retryable(exc.to_message()) from exc
    except PilotlightError as exc:
        logger.error("a task failed", extra={"code": exc.code, "reason": exc.message})  # noqa: TRY400 (said once, without locals)
        raise Terminal(exc.to_message()) from exc
