import httpx
import pytest


@pytest.fixture(autouse=True)
def _serving(api):
    api.has("demo")


def test_the_answer_alone_goes_to_stdout(command, api, an_invocation):
    api.answer = an_invocation("SUCCEEDED", was_cold=False)

    result = command("invoke", "demo", "2+2?")

    assert result.stdout == "Four.\n"
    assert "Two and two." in result.stderr
    assert "5 tokens in, 12 out · 93.4 s · warm · $0.29 (estimated) · stopped by stop · i1" in result.stderr


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        ({"output_tokens": 12}, "12 tokens out · 93.4 s"),
        ({"input_tokens": 5}, "5 tokens in · 93.4 s"),
        (None, "93.4 s · warm"),
    ],
)
def test_tokens_that_nobody_counted_are_left_out(command, api, an_invocation, usage, told):
    api.answer = an_invocation("SUCCEEDED", was_cold=False, usage=usage)

    footer = command("invoke", "demo", "2+2?").stderr.splitlines()[-1]

    assert footer.startswith(told)


def test_reasoning_may_be_left_out(command, api, an_invocation):
    api.answer = an_invocation("SUCCEEDED")

    assert "Two and two." not in command("invoke", "demo", "2+2?", "--no-reasoning").stderr


def test_with_json_there_is_one_document_and_nothing_else(command, api, an_invocation):
    api.answer = an_invocation("SUCCEEDED")

    assert command.json("invoke", "demo", "2+2?") == api.answer
    assert command("invoke", "demo", "2+2?", "--json").stderr == ""


def test_a_cold_model_s_answer_is_waited_for(command):
    result = command("invoke", "demo", "2+2?")

    assert result.stdout == "Four.\n"
    assert "demo: QUEUED – a cold model is loaded first" in result.stderr
    assert "cold start" in result.stderr


def test_every_option_of_sampling_is_sent_under_its_name(command, api):
    command(
        *("invoke", "demo", "Hi", "--max-tokens", "9", "--temperature", "0.5", "--top-p", "0.9", "--top-k", "40"),
        *("--stop", "END", "--stop", "###", "--seed", "7", "--repetition-penalty", "1.1", "--raw", "--wait", "0"),
    )

    assert api.bodies("POST", "/deployments/demo/invocations") == [
        {
            "prompt": "Hi",
            "raw": True,
            "parameters": {
                "max_tokens": 9,
                "temperature": 0.5,
                "top_p": 0.9,
                "top_k": 40,
                "stop": ["END", "###"],
                "seed": 7,
                "repetition_penalty": 1.1,
            },
        }
    ]


def test_a_prompt_may_come_from_stdin(command, api):
    command("invoke", "demo", "-", stdin="a long\nprompt")

    assert api.bodies("POST", "/deployments/demo/invocations")[0] == {"prompt": "a long\nprompt"}


def test_messages_come_before_the_prompt(command, api):
    command("invoke", "demo", "2+2?", "--message", "system=Be brief; a=b.")

    assert api.bodies("POST", "/deployments/demo/invocations")[0]["messages"] == [
        {"role": "system", "content": "Be brief; a=b."},
        {"role": "user", "content": "2+2?"},
    ]


@pytest.mark.parametrize(
    "wrong", [(), ("--message", "hello"), ("Hi", "--raw", "--message", "user=Hi"), ("Hi", "--wait", "-1")]
)
def test_wrong_usage_is_told_before_the_api_is_asked(command, api, wrong):
    command("invoke", "demo", *wrong, code=2)

    assert api.requests == []


def test_without_waiting_the_command_says_how_to_get_the_answer_later(command):
    result = command("invoke", "demo", "2+2?", "--wait", "0")

    assert result.stdout == ""
    assert "pilotlight answer i1" in result.stderr
    assert command.json("invoke", "demo", "2+2?", "--wait", "0")["status"] == "QUEUED"


def test_an_answer_may_be_asked_for_later(command):
    command("invoke", "demo", "2+2?", "--wait", "0")

    assert command("answer", "i1", "--wait", "60").stdout == "Four.\n"


def test_an_answer_that_does_not_come_in_time_ends_with_5_and_its_record(command, api, an_invocation):
    api.invocations["i1"] = [an_invocation("QUEUED")]

    result = command("invoke", "demo", "2+2?", "--wait", "30", code=5)

    assert "i1 is still QUEUED" in result.stderr
    assert "pilotlight answer i1 --watch" in result.stderr
    assert command.json("answer", "i1", "--wait", "3", code=5)["id"] == "i1"


def test_an_interruption_says_how_to_get_the_answer_later(command, clock):
    def interrupt() -> None:
        raise KeyboardInterrupt

    clock.before_sleep = interrupt

    assert "pilotlight answer i1" in command("invoke", "demo", "2+2?", code=130).stderr


def test_a_failed_invocation_ends_with_1_and_the_reason(command, api, an_invocation):
    api.invocations["i1"] = [an_invocation("FAILED", error={"code": "invocation-failed", "message": "context is full"})]

    assert command("answer", "i1", code=1).stderr == "Invocation i1 failed: context is full\n"
    assert command.problem("answer", "i1")["error"]["code"] == "invocation-failed"


def test_a_parameter_that_the_backend_lacks_is_named(command, api, a_problem):
    wrong = {"field": "parameters.top_k", "rule": "supported", "message": "Bedrock's OpenAI shape has no top_k"}
    api.failures = [a_problem(422, "unsupported-parameter", "A parameter is not supported.", errors=[wrong])]

    told = command("invoke", "demo", "Hi", "--top-k", "3", code=2).stderr

    assert told == "A parameter is not supported; parameters.top_k: Bedrock's OpenAI shape has no top_k.\n"


def test_a_lost_connection_does_not_ask_the_model_twice(command, api):
    api.failures = [httpx.ReadError("reset")]

    command("invoke", "demo", "Hi", code=4)

    assert len(api.requests) == 1
