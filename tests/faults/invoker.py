"""What state machines call functions with, in the place of boto3's client: a call passes the seam as any other does."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.exceptions import ClientError, ConnectionClosedError

from local.authorization import Call, Role, require
from tests.faults.seam import INVOKE, Seam


class Invoker:
    """Invokes functions as a role, and tells of it as Step Functions does."""

    def __init__(self, seam: Seam, role_arn: str) -> None:
        self._seam = seam
        self._role = Role(role_arn, "states")

    def invoke(self, FunctionName: str, Payload: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803 - as boto3 calls them
        """Give the answer of a function. Raises: ClientError, with the code that Step Functions puts after `Lambda.`"""
        require(Call.of(self._role, "lambda:InvokeFunction", FunctionName))
        name = self._seam.lambdas.named(FunctionName)
        request = AWSRequest("POST", f"https://lambda/{name}")
        try:
            answer = self._seam.meet(INVOKE, request, lambda: self._invoked(name, json.loads(Payload)), name)
        except ConnectionClosedError as exc:
            raise _failure("SdkClientException", str(exc)) from exc
        if isinstance(answer, AWSResponse):
            raise _failure(answer.headers["x-amzn-errortype"], answer.text)
        told: dict[str, Any] = answer
        return told

    def _invoked(self, name: str, event: Any) -> dict[str, Any]:
        done = self._seam.lambdas.invoke(name, event)
        answer = {"StatusCode": 200, "Payload": BytesIO(done.payload)}
        return answer | ({"FunctionError": "Unhandled"} if done.failed else {})


def _failure(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Invoke")
