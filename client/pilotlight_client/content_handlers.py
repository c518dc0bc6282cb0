"""How a prompt becomes what a container takes, and how what it gives becomes text: what LangChain calls a handler.

Nothing here needs LangChain; a handler that was written for its own SageMaker classes does as well.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from pilotlight_client.errors import ResultNotReadable
from pilotlight_client.payloads import JSON


class Answer(bytes):
    """What a container gave. It can be read like the open stream that handlers of LangChain's own classes are given."""

    def read(self) -> bytes:
        """Return all of it."""
        return bytes(self)


class LLMContentHandler(ABC):
    """The two ways between a prompt and a container, and the types of what goes each way."""

    content_type: str = JSON
    accepts: str = JSON

    @abstractmethod
    def transform_input(self, prompt: str, model_kwargs: dict[str, Any]) -> bytes:
        """Return what the container is sent for a prompt."""

    @abstractmethod
    def transform_output(self, output: Answer) -> str:
        """Return the text in what the container gave."""


class GeneratedText(LLMContentHandler):
    """The form of LMI and TGI: `{"inputs", "parameters"}` goes, and `generated_text` comes, alone or in a list.

    Completions and chats in OpenAI's form are understood, too, when they come.
    """

    def transform_input(self, prompt: str, model_kwargs: dict[str, Any]) -> bytes:
        """Return the prompt with its parameters."""
        return json.dumps({"inputs": prompt, "parameters": model_kwargs}, ensure_ascii=False).encode()

    def transform_output(self, output: Answer) -> str:
        """Return what was generated.

        Raises: ResultNotReadable where it has none of the forms.
        """
        try:
            return _generated(json.loads(output.read()))
        except (ValueError, LookupError, TypeError) as exc:
            raise ResultNotReadable(
                f"The container gave {len(output)} bytes without generated_text in them: give a content handler that "
                "knows its form."
            ) from exc


def require_handler(value: Any) -> Any:
    """Return the handler, whoever wrote its class.

    Raises: ValueError for what has not the two methods.
    """
    missing = [name for name in ("transform_input", "transform_output") if not callable(getattr(value, name, None))]
    if missing:
        raise ValueError(f"a content handler has {' and '.join(missing)}; {type(value).__name__} has not")
    return value


def cut_at(text: str, stop: list[str] | None) -> str:
    """Return the text up to the first of the words that end it."""
    ends = [at for word in stop or () if word and (at := text.find(word)) >= 0]
    return text[: min(ends)] if ends else text


def _generated(value: Any) -> str:
    first = value[0] if isinstance(value, list) else value
    if isinstance(first, Mapping) and "choices" in first:
        choice = first["choices"][0]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
    else:
        text = first["generated_text"]
    if not isinstance(text, str):
        raise TypeError(type(text).__name__)
    return text
