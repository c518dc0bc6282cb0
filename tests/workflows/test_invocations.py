"""Invocations: at once from a warm model, otherwise recorded, queued, and answered after one wake for all."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.workflows.world import World, eventually

CANARY = "canary-7f3e1b"


@pytest.fixture(scope="module")
def model(the_world: World) -> Iterator[str]:
    the_world.calm()
    yield the_world.serving()
    the_world.calm()


@pytest.fixture
def cold(world: World, model: str) -> str:
    world.go_cold(model)
    return model


@pytest.fixture
def warm(world: World, model: str) -> str:
    warm_up(world, model)
    return model


def warm_up(world: World, name: str) -> None:
    """Ask until the model answers at once: between two calls of a busy machine it may have idled for too long."""

    def answered_at_once() -> bool:
        return world.invoke(name, "warm?", wait=25).json()["was_cold"] is False

    eventually(answered_at_once, f"{name} to be warm")


def test_a_warm_model_answers_at_once(world: World, warm: str) -> None:
    answer = world.invoke(warm, raw=True, parameters={"max_tokens": 8})

    told = answer.json()
    assert answer.status_code == 200
    assert told["status"] == "SUCCEEDED"
    assert told["was_cold"] is False
    assert told["output"]["text"].startswith("[simulated]")
    assert told["output"]["stop_reason"] == "length"
    assert told["usage"]["input_tokens"] > 0
    assert told["usage"]["output_tokens"] > 0
    assert told["latency_ms"] > 0
    assert told["cost"]["basis"] == "estimated"


def test_what_a_model_thinks_is_kept_apart_from_what_it_says(world: World, warm: str) -> None:
    output = world.invoke(warm, "Why?", wait=25, parameters={"max_tokens": 400}).json()["output"]

    assert output["text"].startswith("[simulated]")
    assert "I have nothing to think with" in output["reasoning"]
    assert "<think>" not in output["text"]
    assert "</think>" not in output["text"]


def test_a_conversation_is_rendered_by_the_model_s_own_template(world: World, warm: str) -> None:
    turns = [{"role": "user", "content": "Who are you?"}, {"role": "assistant", "content": "A model."}]

    turns.append({"role": "user", "content": "Is that so?"})
    output = world.invoke(warm, wait=25, messages=turns).json()["output"]

    assert "Is that so?" in output["reasoning"]


def test_a_raw_prompt_is_sent_as_it_is(world: World, warm: str) -> None:
    output = world.invoke(warm, "Once upon a time", wait=25, raw=True).json()["output"]

    assert "reasoning" not in output
    assert "Once upon a time" in output["text"]


def test_a_cold_model_s_caller_is_told_where_to_ask_again(world: World, cold: str) -> None:
    answer = world.invoke(cold)

    told = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"].endswith(f"/invocations/{told['id']}")
    assert int(answer.headers["Retry-After"]) >= 1
    assert (told["status"], told["was_cold"]) == ("QUEUED", True)
    over = world.answered(told["id"])
    assert over["status"] == "SUCCEEDED"
    assert over["output"]["text"]
    assert over["was_cold"] is True


def test_a_caller_that_prefers_to_wait_gets_the_answer_of_a_cold_model(world: World, cold: str) -> None:
    answer = world.invoke(cold, wait=25)

    assert (answer.status_code, answer.json()["status"]) == (200, "SUCCEEDED")
    assert answer.json()["was_cold"] is True


def test_a_caller_whose_patience_ends_first_gets_the_record(world: World, cold: str) -> None:
    world.bedrock.knobs.never_ready = True

    answer = world.invoke(cold, wait=1)

    assert answer.status_code == 202
    world.bedrock.knobs.never_ready = False
    assert world.answered(answer.json()["id"])["status"] == "SUCCEEDED"


def test_many_callers_of_a_cold_model_cause_one_wake_and_all_are_answered(world: World, cold: str) -> None:
    world.bedrock.settings.cold_start_seconds = 90
    world.bedrock.settings.idle_seconds = 24 * 3600  # a second wake would be ours, not the model's idling meanwhile
    before = world.executions("warm", cold)

    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda number: world.invoke(cold, f"caller {number}"), range(12)))
    ids = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    over = [world.answered(each) for each in ids]

    assert ids
    assert {each["status"] for each in over} == {"SUCCEEDED"}
    assert len(world.executions("warm", cold)) == len(before) + 1


def test_a_model_that_went_cold_without_our_knowing_is_woken_for_the_caller(world: World, warm: str) -> None:
    world.bedrock.evict(world.deployment(warm)["model_arn"])

    answer = world.invoke(warm, wait=25)

    assert answer.json()["status"] == "SUCCEEDED"
    assert answer.json()["was_cold"] is True


def test_throttling_and_faults_of_the_backend_do_not_reach_the_caller(world: World, warm: str) -> None:
    world.bedrock.knobs.fail_calls = ["InternalServerException", "ServiceUnavailableException"]

    answer = world.invoke(warm, wait=25)

    assert answer.json()["status"] == "SUCCEEDED"
    assert world.bedrock.knobs.fail_calls == []


def test_a_call_that_the_model_breaks_on_is_a_failed_invocation(world: World, warm: str) -> None:
    world.bedrock.knobs.fail_calls = ["ModelErrorException"]

    answer = world.invoke(warm, parameters={"max_tokens": 8})

    assert (answer.status_code, answer.json()["code"]) == (502, "invocation-failed")


def test_a_queued_call_to_a_model_that_was_deleted_by_hand_is_a_failed_record(world: World) -> None:
    name = world.serving()
    world.go_cold(name)
    world.cloud.client("bedrock").delete_imported_model(modelIdentifier=f"pilotlight-{name}-g1")

    told = world.answered(world.invoke(name).json()["id"])

    assert told["status"] == "FAILED"
    assert "ResourceNotFoundException" in told["error"]["message"]


def test_a_dead_letter_becomes_a_failed_record(world: World, cold: str) -> None:
    with world.unreachable("run_invocation"):
        told = world.invoke(cold).json()
        letter = json.dumps({"invocation_id": told["id"], "correlation_id": told["correlation_id"]})

        world.cloud.client("sqs").send_message(QueueUrl=world.cloud.resources["DeadInvocations"], MessageBody=letter)

        over = world.answered(told["id"])
    assert over["status"] == "FAILED"
    assert over["error"]["message"] == "It was tried as often as the queue allows and never answered; send it again."


def test_a_parameter_that_the_backend_lacks_is_refused_and_never_dropped(world: World, warm: str) -> None:
    answer = world.invoke(warm, parameters={"top_k": 5})

    problem = answer.json()
    assert answer.status_code == 422
    assert problem["code"] == "unsupported-parameter"
    assert problem["errors"][0]["field"] == "parameters.top_k"
    assert "max_tokens" in problem["supported"]


@pytest.mark.parametrize("parameters", [{"stop": ["asked"]}, {"seed": 7}, {"temperature": 0.1, "top_p": 0.5}])
def test_parameters_reach_the_model(world: World, warm: str, parameters: dict[str, Any]) -> None:
    asked = {"max_tokens": 400, **parameters}
    answers = [world.invoke(warm, "Tell me.", raw=True, wait=25, parameters=asked).json() for _ in range(2)]

    assert answers[0]["output"] == answers[1]["output"]
    assert "asked" not in answers[0]["output"]["text"] or "stop" not in parameters


def test_a_prompt_is_priced_by_the_windows_that_it_opens(world: World, cold: str) -> None:
    before = world.deployment(cold)["cost_so_far"]["usd"]

    world.invoke(cold, wait=25)

    assert world.deployment(cold)["cost_so_far"]["usd"] > before


def test_a_deployment_that_does_not_serve_takes_no_invocations(world: World) -> None:
    name = world.failed(source=world.publish(quantised=True))["name"]

    answer = world.invoke(name)

    assert (answer.status_code, answer.json()["code"]) == (409, "not-serving")
    assert "retry or delete it" in answer.json()["detail"]


def test_one_correlation_id_goes_from_the_api_through_the_queue_to_the_backend(world: World, cold: str) -> None:
    headers = {"X-Correlation-Id": "followed-to-the-end"}
    body = {"prompt": "Hello?", "parameters": {"max_tokens": 16}}

    answer = world.http.post(f"/deployments/{cold}/invocations", json=body, headers=headers)
    world.answered(answer.json()["id"])

    assert answer.headers["X-Correlation-Id"] == "followed-to-the-end"
    assert answer.json()["correlation_id"] == "followed-to-the-end"
    assert "followed-to-the-end" in world.bedrock.correlation_ids
    records = [json.loads(line) for line in world.log_lines() if "followed-to-the-end" in line and '"was_cold"' in line]
    (record,) = [each for each in records if each.get("request_id") == answer.json()["id"]]
    assert {"deployment", "input_length", "output_length", "inference_time", "was_cold", "status"} <= set(record)
    assert record["input_length"] == len("Hello?")


def test_no_prompt_and_no_answer_is_ever_in_a_log(world: World, cold: str) -> None:
    queued = world.invoke(cold, f"{CANARY} cold").json()
    world.answered(queued["id"])
    warm_up(world, cold)
    said = world.invoke(cold, f"{CANARY} warm", wait=25).json()["output"]
    world.invoke(cold, f"{CANARY} refused", parameters={"top_k": 3})
    world.http.post(f"/deployments/{cold}/invocations", json={"prompt": {"text": CANARY}})
    world.http.post(f"/deployments/{cold}/invocations", content=f'{{"prompt": "{CANARY}'.encode())
    world.bedrock.knobs.fail_calls = ["ModelErrorException"]
    world.invoke(cold, f"{CANARY} broken")

    lines = world.log_lines()

    assert CANARY in str(said)
    assert lines
    assert [line for line in lines if CANARY in line] == []
