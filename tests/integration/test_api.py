"""Every route of the API over HTTP: what it gives, and how it says no. The cloud behind it is the embedded one."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.workflows.world import HEADER, ROOT, SMALL, STACK, World, eventually, running_world

PROBLEM = "application/problem+json"
NAMED_ROUTES = [
    ("GET", "/deployments/{name}", None),
    ("DELETE", "/deployments/{name}", None),
    ("GET", "/deployments/{name}/events", None),
    ("POST", "/deployments/{name}/retry", None),
    ("POST", "/deployments/{name}/warm-up", None),
    ("POST", "/deployments/{name}/scale-down", None),
    ("PUT", "/deployments/{name}/keep-warm", {"keep_warm": {"policy": "none"}}),
    ("PUT", "/deployments/{name}/lease", {"lease": "8h"}),
    ("POST", "/deployments/{name}/invocations", {"prompt": "Hello?"}),
    ("GET", "/invocations/{name}", None),
]


@pytest.fixture(scope="module")
def the_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("hub"), SourceBuckets="*-of-mine") as running:
        yield running


@pytest.fixture
def world(the_world: World) -> World:
    the_world.calm()
    return the_world


@pytest.fixture
def api(world: World) -> httpx.Client:
    return world.http


@pytest.fixture(scope="module")
def serving(the_world: World) -> str:
    """Give the name of a deployment that serves, and that nobody takes down."""
    the_world.calm()
    return the_world.serving("serving")


@pytest.fixture(scope="module")
def failed(the_world: World) -> str:
    """Give the name of a deployment that failed, and that nobody retries."""
    the_world.calm()
    return str(the_world.failed("failed", the_world.publish(quantised=True))["name"])


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Give the problem details of a refusal, which all have the same members."""
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status), answer.text
    assert answer.headers["Content-Type"] == PROBLEM
    assert problem["code"] == code
    assert problem["type"] == f"urn:pilotlight:problem:{code}"
    assert problem["title"]
    assert problem["detail"]
    return dict(problem)


# ---- health, headers, hosts ----------------------------------------------------------------------------------


def test_health_names_the_stack_and_its_upload_bucket(world: World, api: httpx.Client) -> None:
    health = api.get("/health").json()

    assert (health["status"], health["stack"], health["simulated"]) == ("ok", STACK, True)
    assert health["upload_bucket"] == world.upload_bucket


def test_the_api_describes_itself_and_says_so_only_once(world: World, api: httpx.Client) -> None:
    first = api.get("/openapi.json")
    again = api.get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})

    assert first.json() == json.loads((ROOT / "docs/openapi.json").read_text())
    assert (again.status_code, again.content) == (304, b"")


def test_an_id_that_the_caller_gives_comes_back_and_a_bad_one_is_replaced(api: httpx.Client) -> None:
    given = api.get("/health", headers={"X-Correlation-Id": "mine-1"})
    hostile = api.get("/health", headers={"X-Correlation-Id": 'x"} {"level": "ERROR'})
    missing = api.get("/deployments/nobody")

    assert given.headers["X-Correlation-Id"] == "mine-1"
    assert '"' not in hostile.headers["X-Correlation-Id"]
    assert missing.headers["X-Correlation-Id"]


def test_a_page_elsewhere_that_points_a_name_of_its_own_here_is_refused(api: httpx.Client) -> None:
    answer = api.get("/health", headers={"Host": "rebound.example"})

    assert answer.status_code == 403
    assert answer.headers["Content-Type"] == PROBLEM
    assert "rebound.example" in answer.json()["detail"]


def test_a_route_that_does_not_exist_is_refused_as_the_gateway_does(api: httpx.Client) -> None:
    assert api.get("/models").status_code == 403
    assert api.patch("/deployments").status_code == 403


@pytest.mark.parametrize(("method", "route", "body"), NAMED_ROUTES)
def test_what_does_not_exist_is_not_found(api: httpx.Client, method: str, route: str, body: Any) -> None:
    answer = api.request(method, route.format(name="nobody"), json=body)

    assert "nobody" in refused(answer, 404, "not-found")["detail"]


# ---- bodies --------------------------------------------------------------------------------------------------


def test_a_body_that_is_no_json_is_told_so(api: httpx.Client) -> None:
    answer = api.post("/preflight", content=b'{"source": ', headers={"Content-Type": "application/json"})

    refused(answer, 400, "not-json")


def test_a_body_of_another_kind_is_told_so(api: httpx.Client) -> None:
    answer = api.post("/preflight", content=b"source=x", headers={"Content-Type": "text/plain"})

    assert answer.status_code == 415
    assert answer.headers["Content-Type"] == PROBLEM


def test_a_body_that_the_gateway_does_not_carry_is_refused(api: httpx.Client) -> None:
    answer = api.post("/preflight", content=b" " * (11 * 1024 * 1024), headers={"Content-Type": "application/json"})

    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Not A Name"}, "name"),
        ({"name": "a" * 33}, "name"),
        ({"source": "ftp://somewhere"}, "source"),
        ({"source": "s3://bucket/prefix"}, "source"),
        ({"backend": "mainframe"}, "backend"),
        ({"lease": "soon"}, "lease"),
        ({"lease": "400d"}, "lease"),
        ({"keep_warm": {"policy": "window"}}, "keep_warm"),
        ({"tags": {"team": 5}}, "tags.team"),
        ({"import_role_arn": "somebody"}, "import_role_arn"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_request_that_breaks_a_rule_names_field_and_rule(api: httpx.Client, change: dict, field: str) -> None:
    answer = api.post("/deployments", json={"name": "fine", "source": SMALL, **change})

    errors = refused(answer, 422, "invalid-input")["errors"]
    assert [error["field"] for error in errors] == [field]
    assert all(error["rule"] and error["message"] for error in errors)
    assert api.get("/deployments/fine").status_code == 404


@pytest.mark.parametrize(
    ("route", "body", "field"),
    [
        ("keep-warm", {"keep_warm": {"policy": "window", "windows": [{"start": "9", "end": "18:00"}]}}, "start"),
        ("keep-warm", {"keep_warm": {"policy": "sometimes"}}, "policy"),
        ("keep-warm", {}, "keep_warm"),
        ("lease", {"lease": ""}, "lease"),
        ("lease", {"lease": "8h", "why": "because"}, "why"),
    ],
)
def test_a_change_that_breaks_a_rule_names_the_field(
    api: httpx.Client, serving: str, route: str, body: dict, field: str
) -> None:
    (error,) = refused(api.put(f"/deployments/{serving}/{route}", json=body), 422, "invalid-input")["errors"]

    assert field in error["field"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"prompt": "both", "messages": [{"role": "user", "content": "both"}]},
        {"messages": [{"role": "wizard", "content": "x"}]},
        {"prompt": "x", "parameters": {"temperature": 9}},
        {"prompt": "x", "parameters": {"max_tokens": 0}},
        {"prompt": "x", "parameters": {"beams": 4}},
        {"messages": [{"role": "user", "content": "x"}], "raw": True},
    ],
)
def test_an_invocation_that_breaks_a_rule_is_refused(api: httpx.Client, serving: str, body: dict) -> None:
    refused(api.post(f"/deployments/{serving}/invocations", json=body), 422, "invalid-input")


def test_a_preference_that_is_not_understood_is_refused(api: httpx.Client, serving: str) -> None:
    answer = api.post(f"/deployments/{serving}/invocations", json={"prompt": "x"}, headers={"Prefer": "wait=long"})

    assert refused(answer, 422, "invalid-input")["errors"][0]["field"] == "Prefer"


# ---- deployments ---------------------------------------------------------------------------------------------


def test_a_deployment_is_accepted_with_its_record_and_where_to_find_it(world: World, api: httpx.Client) -> None:
    name = world.name()
    keep_warm = {"policy": "window", "windows": [{"days": "MON-FRI", "start": "09:00", "end": "18:00"}]}
    wanted = {"name": name, "source": SMALL, "lease": "permanent", "keep_warm": keep_warm, "tags": {"team": "a"}}

    answer = api.post("/deployments", json=wanted)

    view = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"].endswith(f"/deployments/{name}")
    assert (view["status"], view["generation"], view["lease"], view["tags"]) == (
        "REQUESTED",
        1,
        "permanent",
        {"team": "a"},
    )
    assert view["keep_warm"]["windows"][0]["timezone"] == "UTC"
    assert "lease_ends_at" not in view
    assert view["next"]["what"]


def test_a_name_that_is_taken_names_its_holder(api: httpx.Client, serving: str) -> None:
    problem = refused(api.post("/deployments", json={"name": serving, "source": SMALL}), 409, "name-taken")

    assert problem["holder"] == {"name": serving, "generation": 1, "status": "SERVING"}


def test_the_same_key_and_body_give_the_same_answer_and_start_nothing_twice(world: World, api: httpx.Client) -> None:
    wanted, headers = {"name": world.name(), "source": SMALL}, {"Idempotency-Key": "once"}

    first = api.post("/deployments", json=wanted, headers=headers)
    again = api.post("/deployments", json=wanted, headers=headers)
    other = api.post("/deployments", json={**wanted, "lease": "8h"}, headers=headers)

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    refused(other, 422, "idempotency-key-reused")
    assert world.executions("deploy", wanted["name"]) == [f"{wanted['name']}-g1"]


def test_a_refused_request_gives_its_key_back(world: World, api: httpx.Client, serving: str) -> None:
    headers = {"Idempotency-Key": "used-for-a-refusal"}
    refused(api.post("/deployments", json={"name": serving, "source": SMALL}, headers=headers), 409, "name-taken")

    assert api.post("/deployments", json={"name": world.name(), "source": SMALL}, headers=headers).status_code == 202


def test_a_deployment_shows_what_it_is_what_it_costs_and_what_comes_next(api: httpx.Client, serving: str) -> None:
    view = api.get(f"/deployments/{serving}").json()

    assert view["source"] == SMALL
    assert len(view["revision"]) == 40
    assert view["model_arn"].startswith("arn:aws:bedrock:")
    assert view["warmth"]["state"] in ("WARM", "WAKING", "COLD")
    assert view["cost_so_far"]["usd"] > 0
    assert view["cost_per_hour"] == {"usd": 6.8616, "basis": "estimated"}
    assert view["next"]["at"] > view["created_at"]


def test_lists_come_in_pages_by_name_and_a_cursor_of_nowhere_is_refused(
    api: httpx.Client, serving: str, failed: str
) -> None:
    names, cursor = [], None
    while True:
        page = api.get("/deployments", params={"limit": 1, **({"cursor": cursor} if cursor else {})}).json()
        names += [item["name"] for item in page["items"]]
        if not (cursor := page.get("next")):
            break

    assert {serving, failed} <= set(names)
    assert names == sorted(set(names))
    for path in ("/deployments", f"/deployments/{serving}/events", "/uploads"):
        assert refused(api.get(path, params={"cursor": "nowhere"}), 422, "invalid-input")["errors"]
        assert refused(api.get(path, params={"limit": "0"}), 422, "invalid-input")["errors"]


def test_a_timeline_is_read_page_by_page_oldest_first(api: httpx.Client, serving: str) -> None:
    whole = api.get(f"/deployments/{serving}/events").json()["items"]
    first = api.get(f"/deployments/{serving}/events", params={"limit": 2}).json()
    second = api.get(f"/deployments/{serving}/events", params={"limit": 2, "cursor": first["next"]}).json()

    assert [*first["items"], *second["items"]] == whole[:4]
    assert whole[0]["reason"] == f"asked for {SMALL}"
    assert all(event["reason"] and event["at"] for event in whole)


def test_only_a_failed_deployment_can_be_retried(api: httpx.Client, serving: str) -> None:
    problem = refused(api.post(f"/deployments/{serving}/retry"), 409, "illegal-transition")

    assert "only a FAILED one can be retried" in problem["detail"]


@pytest.mark.parametrize("action", ["warm-up", "scale-down"])
def test_only_a_serving_deployment_is_woken_or_scaled_down(api: httpx.Client, failed: str, action: str) -> None:
    assert api.post(f"/deployments/{failed}/{action}").status_code == 409


def test_a_serving_deployment_is_woken_and_scaled_down_on_request(api: httpx.Client, serving: str) -> None:
    answers = [api.post(f"/deployments/{serving}/{action}") for action in ("warm-up", "scale-down")]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert all(answer.headers["Location"].endswith(f"/deployments/{serving}") for answer in answers)


def test_a_lease_and_a_policy_are_changed_in_place(api: httpx.Client, serving: str) -> None:
    lease = api.put(f"/deployments/{serving}/lease", json={"lease": "9h"})
    policy = api.put(f"/deployments/{serving}/keep-warm", json={"keep_warm": {"policy": "none"}})

    assert (lease.status_code, lease.json()["lease"]) == (200, "9h")
    assert (policy.status_code, policy.json()["keep_warm"]["policy"]) == (200, "none")


def test_what_is_gone_stays_to_be_read_but_can_no_longer_change(world: World, api: httpx.Client) -> None:
    name = world.tear_down(world.failed(source=world.publish(pickle_only=True))["name"])["name"]

    assert api.get(f"/deployments/{name}").json()["status"] == "GONE"
    assert "next" not in api.get(f"/deployments/{name}").json()
    assert api.delete(f"/deployments/{name}").status_code == 202
    refused(api.put(f"/deployments/{name}/lease", json={"lease": "8h"}), 409, "illegal-transition")
    refused(api.post(f"/deployments/{name}/retry"), 409, "illegal-transition")
    refused(api.post(f"/deployments/{name}/invocations", json={"prompt": "x"}), 409, "not-serving")


# ---- preflight, sources, uploads -----------------------------------------------------------------------------


def test_a_model_that_bedrock_takes_passes_every_check_before_a_byte_moves(world: World, api: httpx.Client) -> None:
    world.hub.requests.clear()

    verdict = api.post("/preflight", json={"source": world.publish()}).json()["verdict"]

    assert verdict["accepted"] is True
    assert {"architecture", "dtype", "quantisation", "size", "context", "tokenizer", "quota"} <= {
        check["name"] for check in verdict["checks"]
    }
    bodies = [request for request in world.hub.requests if request.server == "cdn"]
    assert {request.range for request in bodies} == {HEADER}, "weights are known by their headers"


@pytest.mark.parametrize(
    ("kind", "check", "found"),
    [
        ({"architecture": "falcon"}, "architecture", "falcon (FalconForCausalLM)"),
        ({"quantised": True}, "quantisation", "gptq"),
        ({"max_position_embeddings": 262_144}, "context", "262144 tokens"),
        ({"pickle_only": True}, "weights", "pytorch_model.bin"),
        ({"missing_shard": True, "shards": 2}, "weights", "1 of the 2 shards"),
        ({"with_tokenizer": False}, "files", "tokenizer"),
    ],
)
def test_a_model_that_bedrock_would_not_take_is_told_what_was_found_and_what_to_do(
    world: World, api: httpx.Client, kind: dict, check: str, found: str
) -> None:
    answer = api.post("/preflight", json={"source": world.publish(**kind)})

    verdict = answer.json()["verdict"]
    assert (answer.status_code, verdict["accepted"]) == (200, False)
    no = [each for each in verdict["checks"] if each["outcome"] == "refused"]
    assert any(each["name"] == check and found in each["found"] for each in no), no
    assert all(each["supported"] and each["advice"] for each in no)


def test_a_fourth_model_is_refused_naming_the_three_and_the_quota_s_code(world: World, api: httpx.Client) -> None:
    holders = [world.deploy() for _ in range(2)]
    for name in holders:
        world.until(name, "SERVING")
    world.bedrock.settings.imported_models = len(world.bedrock.models)

    checks = api.post("/preflight", json={"source": SMALL}).json()["verdict"]["checks"]

    (quota,) = [check for check in checks if check["name"] == "quota"]
    assert quota["outcome"] == "refused"
    assert all(f"{STACK}-{name}-g1" in quota["found"] for name in holders)
    assert "L-45B04988" in quota["supported"]
    assert "L-45B04988" in quota["advice"]


def test_a_gated_model_is_told_what_to_do_and_a_missing_one_that_it_is_missing(world: World, api: httpx.Client) -> None:
    gated = refused(api.post("/preflight", json={"source": world.publish(gated=True)}), 422, "source-gated")
    missing = refused(api.post("/preflight", json={"source": "hf://acme/nowhere"}), 422, "source-not-found")
    nowhere = refused(api.post("/preflight", json={"source": f"{SMALL}@v9"}), 422, "source-not-found")

    assert "accept its terms" in gated["detail"]
    assert "HF_TOKEN" in gated["detail"]
    assert "acme/nowhere" in missing["detail"]
    assert "v9" in nowhere["detail"]


def test_a_token_put_into_the_secret_opens_a_gated_model_a_minute_later(world: World, api: httpx.Client) -> None:
    source = world.publish(gated=True)
    refused(api.post("/preflight", json={"source": source}), 422, "source-gated")
    secret = {"SecretId": world.cloud.outputs["HubTokenArn"], "SecretString": json.dumps({"token": world.hub.token})}
    world.cloud.client("secretsmanager").put_secret_value(**secret)

    def accepted() -> bool:
        answer = api.post("/preflight", json={"source": source})
        return bool(answer.status_code == 200 and answer.json()["verdict"]["accepted"])

    eventually(accepted, "the token to be read again")
    assert world.hub.leaks == []


def test_a_model_is_deployed_from_a_bucket_of_the_user_s(world: World, api: httpx.Client) -> None:
    s3 = world.cloud.client("s3")
    s3.create_bucket(Bucket="models-of-mine")
    for file in world.checkpoint.rglob("*"):
        if file.is_file():
            key = f"llama/{file.relative_to(world.checkpoint).as_posix()}"
            s3.put_object(Bucket="models-of-mine", Key=key, Body=file.read_bytes())

    name = world.serving(source="s3://models-of-mine/llama/")

    assert world.invoke(name, wait=25).json()["status"] == "SUCCEEDED"
    assert api.get(f"/deployments/{name}").json()["source"] == "s3://models-of-mine/llama/"


def test_a_bucket_that_does_not_exist_is_a_source_that_does_not(api: httpx.Client) -> None:
    problem = refused(api.post("/preflight", json={"source": "s3://nothing-of-mine/x/"}), 422, "source-not-found")

    assert "nothing-of-mine" in problem["detail"]


def test_uploads_are_listed_with_where_to_upload_to(world: World, api: httpx.Client) -> None:
    page = api.get("/uploads").json()

    assert (page["bucket"], page["prefix"]) == (world.upload_bucket, "uploads/")
    assert page["items"] == []


def test_an_answer_is_read_again_by_its_id(world: World, api: httpx.Client, serving: str) -> None:
    told = world.invoke(serving, wait=25).json()

    again = api.get(f"/invocations/{told['id']}").json()

    assert (again["id"], again["status"], again["deployment"]) == (told["id"], "SUCCEEDED", serving)
