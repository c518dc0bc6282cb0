"""The programs in examples/ run as they stand, each in a process of its own, against a running cloud."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.identity import HARNESS, REGION
from tests.workflows.world import SMALL, World, running_world

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LONGEST_SECONDS = 300
SAYS_WHAT_IT_IS = "[simulated]"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("hub")) as running:
        running.calm()
        yield running


@pytest.fixture(scope="module")
def demo(world: World) -> str:
    return world.serving("demo", backend="sagemaker-async", scaling={"min": 0, "max": 1, "initial": 1})


@pytest.fixture
def run(world: World) -> Run:
    around = {
        "PATH": os.environ["PATH"],
        "PILOTLIGHT_URL": world.cloud.api_url,
        "POLL_SECONDS": "0.5",
        "AWS_ENDPOINT_URL": world.cloud.endpoint_url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",  # pragma: allowlist secret
        **HARNESS.environment(),
    }

    def run_example(*command: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command, env=around, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done

    return run_example


def python(example: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, str(EXAMPLES / example), *arguments)


def endpoint_of(world: World, name: str) -> str:
    return str(world.deployment(name)["endpoint"]["name"])


def test_curl_takes_a_model_from_its_source_to_answers_and_down_again(world: World, run: Run) -> None:
    told = run(str(EXAMPLES / "curl.sh"), "by-curl", SMALL).stdout

    assert told.count(SAYS_WHAT_IT_IS) == 2
    assert "ml." in told.splitlines()[1]
    assert told.rstrip().endswith("/deployments/by-curl: GONE")
    assert world.deployment("by-curl")["status"] == "GONE"


@pytest.mark.parametrize("status", ["FAILED", "TEARING_DOWN", "GONE"])
def test_curl_does_not_wait_for_what_can_no_longer_come(tmp_path: Path, status: str) -> None:
    answer = json.dumps({"id": "d1", "status": status, "proposal": {"instance_type": "ml.g5.xlarge"}})
    curl = tmp_path / "curl"
    curl.write_text(f"""#!/bin/sh
while [ "$1" != --output ]; do shift; done
echo '{answer}' >"$2"
""")
    curl.chmod(0o755)
    around = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "POLL_SECONDS": "0"}

    done = subprocess.run([EXAMPLES / "curl.sh"], env=around, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert done.stdout.rstrip().endswith(f"/deployments/by-curl: {status}")
    assert json.loads(done.stderr)["status"] == status


def test_boto3_asks_an_endpoint_that_pilotlight_made(world: World, run: Run, demo: str) -> None:
    done = run(*python("boto3_async.py", endpoint_of(world, demo), "What keeps a model warm?", "--poll", "0.2"))

    assert SAYS_WHAT_IT_IS in done.stdout
    assert f"{endpoint_of(world, demo)} is InService with 1 instances" in done.stderr


def test_langchain_asks_several_questions_at_once_through_pilotlight(run: Run, demo: str) -> None:
    told = run(*python("langchain_async.py", demo)).stdout

    assert told.count(SAYS_WHAT_IT_IS) == 3
    assert [line.partition(":")[0] for line in told.splitlines() if ": " in line][:1] == ["a pilot light"]


def test_langchain_asks_an_endpoint_by_itself(world: World, run: Run, demo: str) -> None:
    told = run(*python("langchain_async.py", "--endpoint", endpoint_of(world, demo))).stdout

    assert told.count(SAYS_WHAT_IT_IS) == 3
