"""LangChain's own package around our classes: PilotlightLLM before a fake API."""

import asyncio
import json
import subprocess
import sys

import httpx
import pytest
from langchain_core.prompts import PromptTemplate
from pilotlight_client import InvocationFailed, NotReachable, Pilotlight, TimedOut
from pilotlight_client.content_handlers import Answer
from pilotlight_client.errors import ModelIsCold, ResultNotReadable
from pilotlight_client.langchain import GeneratedText, LLMContentHandler, PilotlightLLM
from pydantic import ValidationError

INVOCATIONS = "/deployments/demo/invocations"


@pytest.fixture
def llm(api, elapsing):
    api.has("demo", backend="sagemaker-async")

    def make(**fields) -> PilotlightLLM:
        client = Pilotlight("http://user:secret@localhost:8000", transport=httpx.MockTransport(api))
        made = PilotlightLLM(deployment="demo", client=client, **fields)
        made._time = elapsing
        return made

    return make


def test_a_prompt_is_answered_by_a_text_model(llm, call, api, an_invocation):
    api.answer = an_invocation("SUCCEEDED")

    said = call(llm(model_kwargs={"max_tokens": 9}), "2+2?", stop=["\n"], temperature=0.5)

    assert said == "Four."
    assert api.bodies("POST", INVOCATIONS) == [
        {"prompt": "2+2?", "parameters": {"max_tokens": 9, "temperature": 0.5, "stop": ["\n"]}}
    ]


def test_it_is_a_link_of_a_chain_and_takes_batches(llm, api, an_invocation):
    api.answer = an_invocation("SUCCEEDED")
    chain = PromptTemplate.from_template("How much is {a} and {b}?") | llm()

    assert chain.batch([{"a": 1, "b": 3}, {"a": 2, "b": 2}]) == ["Four.", "Four."]
    assert {body["prompt"] for body in api.bodies("POST", INVOCATIONS)} == {
        "How much is 1 and 3?",
        "How much is 2 and 2?",
    }


@pytest.mark.parametrize("way", ["batch", "abatch"])
def test_a_cold_start_is_waited_for_once_by_all_prompts_of_a_batch(llm, api, elapsing, an_invocation, way):
    for number in range(3):
        states = [an_invocation("QUEUED", id=f"n{number}", retry_after_seconds=60 + number)] * 4
        answer = {"text": f"answer {number}"}
        api.invocations[f"n{number}"] = [*states, an_invocation("SUCCEEDED", id=f"n{number}", output=answer)]
    api.failures = [httpx.Response(202, json=an_invocation("QUEUED", id=f"n{number}")) for number in range(3)]

    said = llm().batch(["a", "b", "c"]) if way == "batch" else asyncio.run(llm().abatch(["a", "b", "c"]))

    assert sorted(said) == ["answer 0", "answer 1", "answer 2"]
    assert [request.method for request in api.requests[:3]] == ["POST"] * 3
    if way == "batch":  # a loop's pauses overlap; the fake's time adds them up
        assert said == sorted(said)
        assert elapsing.seconds < 300


def test_a_cold_model_is_waited_for_as_often_as_the_api_says(llm, call, api, elapsing, an_invocation):
    starting = an_invocation("QUEUED", phase="instance-starting", retry_after_seconds=60)
    api.invocations["i1"] = [starting] * 9 + [an_invocation("SUCCEEDED", phase="done")]

    assert call(llm(), "2+2?") == "Four."
    assert elapsing.slept[1:] == [60] * 9
    assert len(api.sent("POST", INVOCATIONS)) == 1


def test_the_caller_may_say_how_often_to_look(llm, call, api, elapsing, an_invocation):
    api.invocations["i1"] = [an_invocation("QUEUED", retry_after_seconds=60)] * 3 + [an_invocation("SUCCEEDED")]

    call(llm(poll_seconds=5), "2+2?")

    assert elapsing.slept == [5] * 4


def test_a_cold_model_may_be_woken_and_not_waited_for(llm, call, api, elapsing):
    with pytest.raises(ModelIsCold, match="demo is cold, and wakes for invocation i1") as caught:
        call(llm(when_cold="raise"), "2+2?")

    assert caught.value.view["id"] == "i1"
    assert elapsing.slept == []
    assert len(api.sent("POST", INVOCATIONS)) == 1


def test_a_warm_model_that_is_only_busy_is_waited_for_all_the_same(llm, call, api, an_invocation):
    api.failures = [httpx.Response(202, json=an_invocation("QUEUED", was_cold=False))]
    api.invocations["i1"] = [an_invocation("SUCCEEDED")]

    assert call(llm(when_cold="raise"), "2+2?") == "Four."


def test_waiting_ends_at_the_longest_and_leaves_the_record(llm, call, api, elapsing, an_invocation):
    api.invocations["i1"] = [an_invocation("QUEUED", phase="instance-starting", retry_after_seconds=45)]

    with pytest.raises(TimedOut, match="i1 is still QUEUED after 100 s; it goes on") as caught:
        call(llm(max_wait_seconds=100), "2+2?")

    assert elapsing.seconds == 100
    assert caught.value.view["phase"] == "instance-starting"


@pytest.mark.parametrize("phase", ["failed", "expired"])
def test_what_failed_or_expired_is_an_error_with_its_reason(llm, call, api, an_invocation, phase):
    error = {"code": "x", "message": "no instance came in time"}
    api.invocations["i1"] = [an_invocation("FAILED", phase=phase, error=error)]

    with pytest.raises(InvocationFailed, match=f"i1 {phase}: no instance came in time"):
        call(llm(), "2+2?")


def test_a_lost_answer_is_not_asked_for_twice(llm, call, api):
    api.failures = [httpx.ReadError("reset")]

    with pytest.raises(NotReachable):
        call(llm(), "2+2?")

    assert len(api.requests) == 1


def test_where_one_of_a_batch_fails_the_others_are_no_longer_waited_for(llm, api, elapsing, an_invocation):
    error = {"code": "x", "message": "it broke"}
    api.invocations["n0"] = [an_invocation("QUEUED", id="n0")]
    api.invocations["n1"] = [an_invocation("FAILED", id="n1", error=error)]
    api.failures = [httpx.Response(202, json=an_invocation("QUEUED", id=f"n{number}")) for number in range(2)]

    async def what_goes_on_after_it() -> int:
        with pytest.raises(InvocationFailed, match="it broke"):
            await llm(max_wait_seconds=1e9).abatch(["a", "b"])
        await asyncio.sleep(0)
        return len(asyncio.all_tasks()) - 1

    assert asyncio.run(what_goes_on_after_it()) == 0


class Shouting(LLMContentHandler):
    content_type = "text/plain"
    accepts = "text/csv"

    def transform_input(self, prompt, model_kwargs):
        return f"{prompt} {json.dumps(model_kwargs)}".encode()

    def transform_output(self, output):
        return output.read().decode().upper()


def test_a_content_handler_says_what_the_container_takes_and_gives(llm, call, api, an_invocation):
    done = an_invocation("SUCCEEDED", body="a,b,end,c", content_type="text/csv")
    del done["output"]
    api.invocations["i1"] = [done]

    said = call(llm(content_handler=Shouting(), model_kwargs={"k": 1}), "2+2?", stop=["END", ",C"])

    assert said == "A,B,"
    (request,) = api.sent("POST", INVOCATIONS)
    assert (request.content, request.headers["Content-Type"]) == (b'2+2? {"k": 1}', "text/plain")
    assert request.url.params["accept"] == "text/csv"


def test_the_form_of_lmi_is_there_already(llm, call, api, an_invocation):
    done = an_invocation("SUCCEEDED", body={"generated_text": "Four."}, content_type="application/json")
    api.invocations["i1"] = [done]

    assert call(llm(content_handler=GeneratedText(), model_kwargs={"max_new_tokens": 9}), "2+2?") == "Four."
    assert api.bodies("POST", INVOCATIONS) == [
        {"payload": {"inputs": "2+2?", "parameters": {"max_new_tokens": 9}}, "accept": "application/json"}
    ]


def test_a_large_answer_is_fetched(llm, call, api, an_invocation):
    done = an_invocation(
        "SUCCEEDED", output_url="https://store.example/out?signature=s", content_type="application/json"
    )
    del done["output"]
    api.invocations["i1"] = [done]
    api.objects["/out"] = (b'[{"generated_text": "Four."}]', httpx.Headers())

    assert call(llm(content_handler=GeneratedText()), "2+2?") == "Four."


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"generated_text": "a"}, "a"),
        ([{"generated_text": "a"}, {"generated_text": "b"}], "a"),
        ({"choices": [{"text": "a"}]}, "a"),
        ({"choices": [{"message": {"role": "assistant", "content": "a"}}]}, "a"),
    ],
)
def test_each_form_of_generated_text_is_understood(given, text):
    assert GeneratedText().transform_output(Answer(json.dumps(given).encode())) == text


@pytest.mark.parametrize("given", [b"{}", b"[]", b"no json", b'{"generated_text": null}', b'{"choices": []}', b"7"])
def test_another_form_asks_for_a_handler(given):
    with pytest.raises(ResultNotReadable, match="give a content handler that knows its form"):
        GeneratedText().transform_output(Answer(given))


@pytest.mark.parametrize("wrong", [{"content_handler": object()}, {"max_wait_seconds": 0}, {"max_waits": 5}])
def test_what_cannot_be_meant_is_refused_when_it_is_made(wrong):
    with pytest.raises(ValidationError):
        PilotlightLLM(deployment="demo", **wrong)


def test_hundreds_of_calls_wait_at_once_without_a_thread_of_their_own(llm, api, elapsing, an_invocation):
    api.invocations["i1"] = [an_invocation("SUCCEEDED")]
    model, waiting, everybody_waits = llm(), [], asyncio.Event()

    class Together(type(elapsing)):
        async def pause(self, seconds: float) -> None:
            waiting.append(seconds)
            if len(waiting) == 200:
                everybody_waits.set()
            await everybody_waits.wait()

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*(model.ainvoke("2+2?") for _ in range(200)))

    model._time = Together()

    assert asyncio.run(all_at_once()) == ["Four."] * 200


def test_nothing_secret_is_shown_or_traced(llm):
    model = llm(profile="mine")

    shown = f"{model!r} {model} {model.model_dump()} {model._identifying_params}"

    assert "secret" not in shown
    assert "localhost:8000" in shown


def test_nothing_else_of_the_client_needs_langchain():
    code = (
        "import sys, pilotlight_client.commands, pilotlight_client.async_endpoint\n"
        "assert not [name for name in sys.modules if name.startswith(('langchain', 'langsmith', 'boto3'))]"
    )
    path = [folder for folder in sys.path if folder]

    subprocess.run([sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}"], check=True)
