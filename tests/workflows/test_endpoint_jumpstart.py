"""Models of JumpStart: hosted on either backend from where AWS keeps them, gated ones for who accepts their terms."""

import pytest

from local.jumpstart import stock
from local.jumpstart.offers import GATED, OPEN
from tests.workflows.hosted import ASYNC, BACKENDS, REALTIME, endpoint, hosted, told
from tests.workflows.world import World

pytestmark = pytest.mark.slow

PAYLOAD = {"inputs": "A small model says", "parameters": {"max_new_tokens": 16}}


@pytest.fixture(scope="module", autouse=True)
def catalogue(the_world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    stock(the_world.cloud.client("s3"), tmp_path_factory.mktemp("jumpstart"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_open_model_is_hosted_as_its_newest_version_says(world: World, backend: str) -> None:
    name = hosted(world, backend, f"jumpstart://{OPEN}")

    view = world.deployment(name)
    assert (view["source"], view["revision"]) == (f"jumpstart://{OPEN}", "1.10.0")
    assert endpoint(world, name)["instance_type"] == "ml.g5.xlarge"
    assert "artifact_id" not in view
    assert told(world, name, payload=PAYLOAD)["body"]["generated_text"].startswith("[simulated]")
    assert "StartImport" not in world.execution("deploy", f"{name}-g1").path


def test_a_gated_model_is_refused_at_once_to_who_has_not_accepted_its_terms(world: World) -> None:
    body = {"name": world.name(), "source": f"jumpstart://{GATED}", "backend": ASYNC}

    answer = world.http.post("/deployments", json=body)

    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "source-gated"
    assert "accept_eula" in answer.json()["detail"]
    assert world.http.get(f"/deployments/{body['name']}").status_code == 404


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gated_model_is_hosted_for_who_has_accepted_its_terms(world: World, backend: str) -> None:
    name = hosted(world, backend, f"jumpstart://{GATED}", accept_eula=True)

    model = world.cloud.client("sagemaker").describe_model(ModelName=f"pilotlight-{name}-g1-v1")
    source = model["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]
    assert source["ModelAccessConfig"] == {"AcceptEula": True}
    assert told(world, name, payload=PAYLOAD)["status"] == "SUCCEEDED"


def test_bedrock_is_offered_no_model_of_jumpstart(world: World) -> None:
    answer = world.http.post("/deployments", json={"name": world.name(), "source": f"jumpstart://{OPEN}"})

    assert answer.status_code == 422, answer.text
    assert REALTIME in answer.json()["detail"]
