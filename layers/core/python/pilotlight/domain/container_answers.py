"""What a container answered, as far as it can be read in a JSON document: JSON and text that is not too long."""

import json
from typing import Any

from pilotlight.domain.invocation_request import JSON

LARGEST_SHOWN_BYTES = 256 * 1024
_JSON_SUFFIX = "+json"


def media_type(content_type: str) -> str:
    """Return a content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_json(content_type: str) -> bool:
    """Say whether a content type is JSON's."""
    kind = media_type(content_type)
    return kind == JSON or kind.endswith(_JSON_SUFFIX)


def is_shown(content_type: str, size_bytes: int) -> bool:
    """Say whether a body of that type and size is shown in the invocation itself."""
    readable = is_json(content_type) or media_type(content_type).startswith("text/")
    return readable and size_bytes <= LARGEST_SHOWN_BYTES


def shown(data: bytes, content_type: str) -> Any:
    """Return a body as a JSON value: what it says where it is JSON, else its text; None for what is no text."""
    if is_json(content_type):
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            pass
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
