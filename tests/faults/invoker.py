"""What state machines call functions with, in the place of boto3's client: a call passes the seam as any other does."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.exceptions import ClientError, ConnectionClosedError
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import EvalTimeoutError

from local.authorization import Call, Role, require
from tests.faults.agenda import Signal
from tests.faults.machines import machine_at_work
from tests.faults.seam import INVOKE, Seam


class Invoker:
    """Invokes functions as a role, and tells of it as Step Functions does."""

    def __init__(self, seam: Seam, role_arn: str) -> None:
        self._seam = seam
        self._role = Role(role_arn, "states")

    def invoke(self, FunctionName: str, Payload: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803 - as boto3 calls them
        """Give the answer of a function, which goes on where its task has no time left.

        Raises: ClientError, with the code that Step Functions puts after `Lambda.`; EvalTimeoutError.
        """
        require(Call.of(self._role, "lambda:InvokeFunction", FunctionName))
        clock = self._seam.clock
        machine, heard = machine_at_work(clock.agenda), Signal()
        answers: list[dict[str, Any] | ClientError] = []

        def ask() -> None:
            answers.append(self._answer(self._seam.lambdas.named(FunctionName), json.loads(Payload)))
            clock.agenda.set(heard)

        clock.agenda.spawn(f"call of {machine.name}", ask, purpose=machine)
        if not clock.agenda.wait(heard, machine.deadline - clock.moment):
            raise EvalTimeoutError
        (answer,) = answers
        if isinstance(answer, ClientError):
            raise answer
        return answer

    def _answer(self, name: str, event: Any) -> dict[str, Any] | ClientError:
        """Give what becomes of the call."""
        try:
            request = AWSRequest("POST", f"https://lambda/{name}")
            answer = self._seam.meet(INVOKE, request, lambda: self._invoked(name, event), name)
        except ConnectionClosedError as exc:
            return _failure("SdkClientException", str(exc))
        if isinstance(answer, AWSResponse):
            return _failure(answer.headers["x-amzn-errortype"], answer.text)
        told: dict[str, Any] = answer
        return told

    def _invoked(self, name: str, event: Any) -> dict[str, Any]:
        done = self._seam.lambdas.invoke(name, event)
        answer = {"StatusCode": 200, "Payload": BytesIO(done.payload)}
        return answer | ({"FunctionError": "Unhandled"} if done.failed else {})


def _failure(code: str, message: str) -> ClientError:
    about = {"HTTPStatusCode": 500, "RequestId": "1"}
    return ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": about}, "Invoke")
