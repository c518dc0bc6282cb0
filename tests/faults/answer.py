"""What a client of the API hears."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from tests.faults.lambdas import Invocation

REFUSALS = ("kill-switch-on", "capacity-reached")  # 503 by intent


class Answer:
    """What the API answered."""

    def __init__(self, status: int, body: Any) -> None:
        self.status = status
        self.body = body

    @property
    def is_final(self) -> bool:
        """Give whether asking again would change nothing: no fault of the server's, and not still under way."""
        if self.status == HTTPStatus.CONFLICT:
            return "still under way" not in str(self.body)
        return self.status < HTTPStatus.INTERNAL_SERVER_ERROR or (self.body or {}).get("code") in REFUSALS

    @classmethod
    def of(cls, done: Invocation) -> Answer:
        """Give what the gateway makes of an invocation."""
        if done.failed:
            return cls(502, json.loads(done.payload))
        told = json.loads(done.payload)
        return cls(told["statusCode"], json.loads(told["body"] or "null"))
