"""A Lambda runtime client in plain Python, for systems where awslambdaric has no wheel (macOS, Windows).

It keeps to what a function can observe: handler lookup, the context object, error documents and JSON answers.
"""

import http.client
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

_PREFIX = "/2018-06-01/runtime/"

Handler = Callable[[Any, Any], Any]


class Context:
    """What a handler is told about its invocation."""

    def __init__(self, headers: http.client.HTTPMessage) -> None:
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = None
        self.client_context = None
        self._deadline_ms = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self) -> int:
        """Give how long the function may still run."""
        return max(0, self._deadline_ms - int(time.time() * 1000))


class RuntimeClient:
    """One connection to the Runtime API, kept open."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address)

    def next(self) -> tuple[bytes, http.client.HTTPMessage]:
        """Give the next event and its headers; waits for as long as there is none."""
        self._connection.request("GET", _PREFIX + "invocation/next")
        response = self._connection.getresponse()
        payload = response.read()
        return payload, response.headers

    def post(self, path: str, body: bytes) -> None:
        """Report an answer or an error."""
        self._connection.request("POST", _PREFIX + path, body, {"Content-Type": "application/json"})
        self._connection.getresponse().read()


class _InitError(Exception):
    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


def load_handler(name: str) -> Handler:
    """Give the function that `module.attribute` names.

    Raises: _InitError with the real service's error types when there is none.
    """
    module_name, _, attribute = name.rpartition(".")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as exc:
        message = f"Unable to import module '{module_name}': {exc}"
        raise _InitError("Runtime.ImportModuleError", message) from exc
    try:
        return getattr(module, attribute)  # type: ignore[no-any-return]
    except AttributeError as exc:
        message = f"Handler '{attribute}' missing on module '{module_name}'"
        raise _InitError("Runtime.HandlerNotFound", message) from exc


def error_document(exc: BaseException) -> bytes:
    """Give the document that callers of a failed function get."""
    error_type = exc.error_type if isinstance(exc, _InitError) else type(exc).__name__
    stack = traceback.format_list(traceback.extract_tb(exc.__traceback__))
    return json.dumps({"errorMessage": str(exc), "errorType": error_type, "stackTrace": stack}).encode()


def _answer(handler: Handler, event: bytes, context: Context) -> bytes:
    result = handler(json.loads(event or b"{}"), context)
    try:
        return json.dumps(result, ensure_ascii=False).encode()
    except TypeError as exc:
        raise _InitError("Runtime.MarshalError", f"Unable to marshal response: {exc}") from exc


def run(handler_name: str, address: str) -> None:
    """Serve invocations until the process is ended."""
    client = RuntimeClient(address)
    try:
        handler = load_handler(handler_name)
    except BaseException as exc:
        client.post("init/error", error_document(exc))
        raise SystemExit(1) from exc
    while True:
        event, headers = client.next()
        context = Context(headers)
        os.environ["_X_AMZN_TRACE_ID"] = headers["Lambda-Runtime-Trace-Id"]
        try:
            body, outcome = _answer(handler, event, context), "response"
        except Exception as exc:  # noqa: BLE001 - whatever a handler raises is its answer
            traceback.print_exc(file=sys.stdout)
            body, outcome = error_document(exc), "error"
        client.post(f"invocation/{context.aws_request_id}/{outcome}", body)


if __name__ == "__main__":
    run(sys.argv[1], os.environ["AWS_LAMBDA_RUNTIME_API"])
