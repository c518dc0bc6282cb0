"""botocore's descriptions of the services, read once in this process instead of once in each session."""

from __future__ import annotations

from functools import cache
from typing import Any

import botocore.session

from local.seams import replace


def share() -> None:
    """Let all sessions use one loader.

    Each session otherwise parses its own copy of megabytes of JSON, and moto, its interpreter and the harness
    make dozens of sessions: sharing takes some three seconds off a start.
    """
    replace(botocore.session, "create_loader", _remembering)


def _remembering(original: Any) -> Any:
    remembered = cache(original)

    def create_loader(search_path: str | None = None) -> Any:
        return remembered(search_path)

    return create_loader
