"""What LMI's containers are asked, and what they are taken to have answered, in each of their forms."""

import json

import pytest
from pilotlight.domain import lmi
from pilotlight.domain.errors import InvocationFailed
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.invocation import ChatMessage, Parameters
from pilotlight.domain.serving import ServingSettings, Task


def generated(told: object):
    return lmi.require_generation(json.dumps(told).encode(), "llama")


def test_parameters_have_the_containers_names():
    asked = Parameters(
        max_tokens=9, temperature=0.5, top_p=0.9, top_k=40, stop=("END",), seed=7, repetition_penalty=1.1
    )

    body = lmi.generation_body("Why?", asked)

    assert body["inputs"] == "Why?"
    assert body["parameters"] == {
        "max_new_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "stop_sequences": ["END"],
        "seed": 7,
        "repetition_penalty": 1.1,
        "do_sample": True,
        "details": True,
    }


@pytest.mark.parametrize(
    ("asked", "samples"), [({}, False), ({"seed": 7}, False), ({"temperature": 0}, False), ({"top_k": 5}, True)]
)
def test_a_container_is_told_to_sample_where_anybody_says_how(asked, samples):
    assert lmi.generation_body("Why?", Parameters(**asked))["parameters"]["do_sample"] is samples


def test_an_answer_without_a_limit_has_the_products_own():
    assert lmi.generation_body("Why?", Parameters())["parameters"]["max_new_tokens"] == 512


def test_messages_go_in_the_chat_form():
    body = lmi.chat_body((ChatMessage(role="user", content="Hi"),), Parameters(max_tokens=5, stop=("END",)))

    assert body == {"messages": [{"role": "user", "content": "Hi"}], "stop": ["END"], "max_tokens": 5}


@pytest.mark.parametrize(
    ("told", "text", "reason", "tokens"),
    [
        ({"generated_text": "Yes."}, "Yes.", None, (None, None)),
        (
            {"generated_text": "Yes.", "details": {"finish_reason": "length", "generated_tokens": 8}},
            "Yes.",
            "length",
            (None, 8),
        ),
        (
            [
                {
                    "generated_text": "Yes.",
                    "details": {"finish_reason": "eos_token", "generated_tokens": 2, "prefill": [1, 2]},
                }
            ],
            "Yes.",
            "eos_token",
            (2, 2),
        ),
        (
            {
                "choices": [{"message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 1},
            },
            "Yes.",
            "stop",
            (3, 1),
        ),
        ({"choices": [{"text": "Yes.", "finish_reason": "stop"}]}, "Yes.", "stop", (None, None)),
        ({"generated_text": ""}, "", None, (None, None)),
    ],
)
def test_an_answer_is_read_in_each_of_the_forms(told, text, reason, tokens):
    answer = generated(told)

    assert (answer.completion, answer.stop_reason) == (text, reason)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == tokens


def test_an_error_that_is_told_as_an_answer_is_a_failure():
    with pytest.raises(InvocationFailed, match="could not generate"):
        generated({"generated_text": "", "details": {"finish_reason": "error", "generated_tokens": None}})


@pytest.mark.parametrize(
    "told", [[[0.1, 0.2]], {"label": "POSITIVE"}, "text", None, [], {"choices": []}, {"generated_text": 5}]
)
def test_an_answer_of_another_form_is_none_and_says_what_to_send(told):
    assert lmi.read_generation(json.dumps(told).encode(), "llama") is None
    with pytest.raises(InvocationFailed, match="payload"):
        generated(told)


@pytest.mark.parametrize("body", [b"\xff\xfe", b"", b"{", b"[" * 100_000])
def test_what_is_no_json_is_of_another_form(body):
    assert lmi.read_generation(body, "llama") is None


@pytest.mark.parametrize(
    ("task", "takes"),
    [(None, True), (Task.TEXT_GENERATION, True), (Task.TEXT2TEXT_GENERATION, True), (Task.FEATURE_EXTRACTION, False)],
)
def test_a_task_says_whether_there_are_prompts(task, takes):
    assert lmi.generates_text(Hosting(serving=ServingSettings(task=task))) is takes


def test_a_deployment_that_says_nothing_takes_prompts():
    assert lmi.generates_text(None)
