"""A worker's answer counts when it came whole: one that is killed while it writes has answered nothing."""

import queue
import socket
from collections.abc import Iterator

import pytest

from local.runtime_api import Report, RuntimeApi, Sign

ANSWER = "POST /2018-06-01/runtime/invocation/r-1/response HTTP/1.1\r\nHost: here\r\n"


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    serving = RuntimeApi("arn:aws:lambda:us-east-1:123456789012:function:one", 3)
    yield serving
    serving.stop()


def post(api: RuntimeApi, text: str) -> None:
    """Write that, and be gone."""
    with socket.create_connection(api.server_address[:2]) as connection:
        connection.sendall(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        f"{ANSWER}Content-Length: 5\r\n\r\nhello",
        f"{ANSWER}Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ],
)
def test_a_whole_answer_is_reported(api: RuntimeApi, text: str) -> None:
    post(api, text)

    assert api.reports.get(timeout=5) == Report(Sign.ANSWER, b"hello")


@pytest.mark.parametrize(
    "text",
    [
        f"{ANSWER}Content-Length: 5\r\n\r\nhel",
        f"{ANSWER}Content-Length: 5\r\n\r\n",
        f"{ANSWER}Transfer-Encoding: chunked\r\n\r\n",
        f"{ANSWER}Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        f"{ANSWER}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        f"{ANSWER}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ],
)
def test_half_an_answer_is_none(api: RuntimeApi, text: str) -> None:
    post(api, text)

    with pytest.raises(queue.Empty):
        api.reports.get(timeout=0.3)
