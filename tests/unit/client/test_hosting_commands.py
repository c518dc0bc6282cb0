"""deploy, preflight, update, rollback and revisions of models on instances."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ASYNC = ("--backend", "sagemaker-async")
REALTIME = ("--backend", "sagemaker-realtime")
A_PROPOSAL = {
    "instance_type": "ml.g5.12xlarge",
    "tensor_parallel_degree": 4,
    "usd_per_hour": 7.09,
    "price_confirmed": True,
    "price_source": "AWS",
    "hardware": "4 × A10G",
    "seconds_per_token": 0.02,
    "needed_gib": 20.1,
    "usable_gib": 21.6,
    "why": "it is the cheapest by the hour of the 9 that hold it",
}
DEPLOY = ("deploy", "hf://org/model", "--name", "demo")


@pytest.fixture
def handler(tmp_path):
    folder = tmp_path / "handler"
    folder.mkdir()
    (folder / "model.py").write_text("def handle(inputs): ...\n")
    return folder


def section(api, name):
    return api.bodies("POST", "/deployments")[0].get(name)


def test_deploy_says_everything_about_instances_in_its_sections(command, api, handler):
    (handler / "labels.json").write_text("{}")
    (handler / "serving.properties").write_text("engine=Python\n")
    (handler / ".hidden.py").write_text("")
    (handler / "README.md").write_text("")

    command(
        *(*DEPLOY, *ASYNC, "--instance-type", "ml.g5.2xlarge", "--context-tokens", "8192", "--concurrency", "4"),
        *("--min", "0", "--max", "3", "--initial", "1", "--scale-in", "immediate", "--backlog-per-instance", "2.5"),
        *("--scale-in-cooldown", "60", "--scale-out-cooldown", "0"),
        *("--serving", "dtype=bf16", "--serving", "tensor_parallel_degree=2", "--serving", "network_isolation=false"),
        *("--option", "max_model_len=8192", "--option", "speculative_config={}", "--handler", str(handler)),
        *("--lmi-version", "0.36.0", "--env", "A=1", "--env", "B=x=y"),
    )

    assert api.bodies("POST", "/deployments") == [
        {
            "name": "demo",
            "source": "hf://org/model",
            "backend": "sagemaker-async",
            "instance": {"type": "ml.g5.2xlarge", "context_tokens": 8192, "concurrency": 4},
            "scaling": {
                "min": 0,
                "max": 3,
                "initial": 1,
                "scale_in": "immediate",
                "backlog_per_instance": 2.5,
                "scale_in_cooldown_seconds": 60,
                "scale_out_cooldown_seconds": 0,
            },
            "serving": {
                "dtype": "bf16",
                "tensor_parallel_degree": 2,
                "network_isolation": False,
                "options": {"max_model_len": "8192", "speculative_config": "{}"},
                "files": {"labels.json": "{}", "model.py": "def handle(inputs): ...\n"},
            },
            "container": {"version": "0.36.0", "environment": {"A": "1", "B": "x=y"}},
        }
    ]


def test_what_is_not_said_of_instances_is_left_to_the_api(command, api):
    command(*DEPLOY, *ASYNC)

    assert api.bodies("POST", "/deployments") == [
        {"name": "demo", "source": "hf://org/model", "backend": "sagemaker-async"}
    ]


def test_real_time_endpoints_have_options_of_their_own(command, api):
    command(
        *(*DEPLOY, *REALTIME, "--optimize-for", "latency", "--min", "0", "--components", "--scale-in", "immediate"),
        *("--invocations-per-instance", "40", "--image", "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1"),
    )

    assert section(api, "instance") == {"optimize_for": "latency"}
    assert section(api, "scaling") == {
        "min": 0,
        "scale_in": "immediate",
        "invocations_per_instance": 40.0,
        "components": True,
    }
    assert section(api, "container") == {"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1"}


def test_a_gated_model_s_licence_is_accepted_in_so_many_words(command, api):
    command("deploy", "jumpstart://meta-llama@1.0.0", "--name", "demo", *ASYNC, "--accept-eula")

    assert section(api, "accept_eula") is True


@pytest.mark.parametrize("wrong", ["team=", "=1", "x"])
def test_a_pair_without_a_key_is_none(command, api, wrong):
    code = 0 if wrong == "team=" else 2
    command(*DEPLOY, *ASYNC, "--env", wrong, code=code)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ("--instance-type", "ml.g5.xlarge"),
            "Bedrock chooses its instances itself: with --instance-type say --backend",
        ),
        (("--min", "0", "--max", "2", "--env", "A=1"), "with --min, --max and --env say --backend sagemaker-async"),
        ((*ASYNC, "--invocations-per-instance", "9"), "it scales by what waits: --backlog-per-instance"),
        ((*ASYNC, "--components"), "it comes down to zero without them"),
        ((*REALTIME, "--backlog-per-instance", "9"), "nothing waits at it: --invocations-per-instance"),
        ((*REALTIME, "--scale-in", "immediate"), "immediate needs --components"),
        ((*REALTIME, "--min", "0"), "--min 0 needs --components"),
        ((*ASYNC, "--min", "3", "--max", "2"), "--min 3 is more than --max 2"),
        ((*ASYNC, "--initial", "3", "--max", "2"), "--initial 3 is more than --max 2"),
        ((*ASYNC, "--disable-scale-in", "--scale-in", "immediate"), "contradicts --scale-in immediate"),
        ((*ASYNC, "--instance-type", "ml.g5.xlarge", "--optimize-for", "cost"), "leave one out"),
        ((*ASYNC, "--image", "a/b:1", "--lmi-version", "0.36.0"), "leave one out"),
        ((*ASYNC, "--import-role-arn", "arn:aws:iam::1:role/x"), "leave it out for an endpoint"),
        ((*ASYNC, "--accept-eula"), "--accept-eula is for jumpstart:// models"),
        ((*ASYNC, "--serving", "dtype"), "'dtype' is not of the form --serving KEY=VALUE"),
        ((*ASYNC, "--serving", "dtype=a", "--serving", "dtype=b"), "--serving dtype is given twice"),
        ((*ASYNC, "--serving", "option.dtype=bf16"), "write --option dtype=VALUE"),
        ((*ASYNC, "--serving", "options=x"), "write --option KEY=VALUE"),
        ((*ASYNC, "--serving", "files=x"), "write --handler DIR"),
        ((*ASYNC, "--option", "option.x=1"), "leave option. out, and write x"),
        ((*ASYNC, "--handler", "nowhere"), "does not exist"),
        ((*ASYNC, "--optimize-for", "beauty"), "'beauty'"),
        (("--backend", "kubernetes"), "'kubernetes'"),
    ],
)
def test_wrong_combinations_are_told_before_anything_is_sent(command, api, options, told):
    shown = command(*DEPLOY, *options, code=2).stderr

    assert told in " ".join(shown.replace("│", " ").split())
    assert api.requests == []


def test_a_handler_without_model_py_is_none(command, api, handler):
    (handler / "model.py").unlink()

    assert "holds no model.py" in _plain(command(*DEPLOY, *ASYNC, "--handler", str(handler), code=2))
    assert api.requests == []


def test_a_handler_that_carries_weights_is_refused(command, api, handler):
    (handler / "vocabulary.json").write_text("x" * 40_000)
    (handler / "merges.txt").write_text("x" * 40_000)

    assert "hold 80,024 bytes together, and may hold 65,536" in _plain(
        command(*DEPLOY, *ASYNC, "--handler", str(handler), code=2)
    )


def test_a_handler_s_file_that_is_no_text_is_refused(command, api, handler):
    (handler / "model.py").write_bytes(b"\xff\xfe")

    assert "cannot be read as text" in _plain(command(*DEPLOY, *ASYNC, "--handler", str(handler), code=2))


def test_requirements_and_network_isolation_contradict(command, api, handler):
    (handler / "requirements.txt").write_text("sentencepiece\n")

    told = _plain(command(*DEPLOY, *ASYNC, "--handler", str(handler), code=2))
    assert "add --serving network_isolation=false" in told
    assert api.requests == []

    command(*DEPLOY, *ASYNC, "--handler", str(handler), "--serving", "network_isolation=false")
    assert section(api, "serving")["files"]["requirements.txt"] == "sentencepiece\n"


def test_preflight_takes_the_same_sections(command, api):
    api.verdict = {
        "accepted": True,
        "checks": [],
        "facts": {},
        "proposal": A_PROPOSAL,
    }

    shown = command(
        *("preflight", "jumpstart://model", *ASYNC, "--optimize-for", "cost", "--option", "a=b", "--accept-eula")
    )

    assert api.bodies("POST", "/preflight") == [
        {
            "source": "jumpstart://model",
            "backend": "sagemaker-async",
            "instance": {"optimize_for": "cost"},
            "serving": {"options": {"a": "b"}},
            "accept_eula": True,
        }
    ]
    assert "Runs on ml.g5.12xlarge with tensor parallel 4, $7.09 an hour, because it is the cheapest" in shown.stdout
    command("preflight", "hf://org/model", "--min", "0", code=2)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["tensor parallel"], "With that put right, it would run on ml.g5.12xlarge"),
        (["instance", "size"], "With that put right, it would run on ml.g5.12xlarge"),
        (["format"], None),
        (["tensor parallel", "format"], None),
    ],
)
def test_what_is_refused_runs_on_nothing_and_would_only_where_nothing_but_the_instance_is_wrong(
    command, api, names, told
):
    refused = {"outcome": "refused", "found": "3", "supported": "1, 2, 4, 8", "advice": "Leave it out."}
    passed = {"name": "region", "outcome": "passed", "found": "us-east-1", "supported": "us-east-1"}
    checks = [{"name": name, **refused} for name in names]
    api.verdict = {"accepted": False, "checks": [passed, *checks], "facts": {}, "proposal": A_PROPOSAL}

    shown = " ".join(command("preflight", "hf://org/model", *ASYNC, code=3).stdout.split())

    assert "Runs on" not in shown
    assert (told in shown) if told else ("ml.g5.12xlarge" not in shown)


def test_status_and_list_show_the_endpoint(command, api, a_described_endpoint):
    update = {"revision": 3, "previous": 2, "strategy": "rolling", "started_at": "2026-11-20T11:58:00Z"}
    endpoint = a_described_endpoint(status="Updating", instances=0, desired=1, revision=2, update=update)
    proposal = {**A_PROPOSAL, "tensor_parallel_degree": 1, "price_confirmed": False}
    api.has("demo", backend="sagemaker-async", endpoint=endpoint, proposal=proposal)

    status, listed = command("status", "demo").stdout, command("list").stdout

    assert "pilotlight-demo-g1 · Updating · 0 of 1 × ml.g5.2xlarge, 0 to 2 · revision 2" in status
    assert "from revision 2 to 3 (rolling), begun 2 min ago" in status
    assert "ml.g5.12xlarge, $7.09 an hour at most, as far as is known, because it is the cheapest" in status
    assert "0 of 1 × ml.g5.2xlarge r2" in listed


@pytest.mark.parametrize(
    ("instances", "usd", "told"),
    [
        (0, 0.0, "$0.00/h now (at zero), $1.41/h per instance (estimated)"),
        (1, 1.408, "$1.41/h (estimated)"),
        (2, 2.816, "$2.82/h now, $1.41/h per instance (estimated)"),
    ],
)
def test_status_says_what_an_instance_costs_also_where_there_is_none(
    command, api, a_described_endpoint, instances, usd, told
):
    endpoint = a_described_endpoint(instances=instances, desired=instances, usd_per_instance_hour=1.408)
    api.has("demo", endpoint=endpoint, cost_per_hour={"usd": usd, "basis": "estimated"})

    assert (
        f"cost per hour  {told}\n" in "\n".join(map(str.rstrip, command("status", "demo").stdout.splitlines())) + "\n"
    )


def test_what_has_no_instance_yet_is_not_said_to_cost_nothing_while_it_is_warm(command, api):
    api.has("demo", "STAGING", backend="sagemaker-async", cost_per_hour={"usd": 0.0, "basis": "estimated"})

    assert "$0.00/h" not in command("status", "demo").stdout
    api.has("demo", "STAGING", cost_per_hour={"usd": 27.45, "basis": "estimated"})
    assert "cost while warm  $27.45/h (estimated)" in command("status", "demo").stdout


def test_a_step_that_should_have_been_taken_is_due_now(command, api, a_described_endpoint):
    step = {"what": "look at its endpoint", "at": "2026-11-20T11:59:41Z"}
    api.has("demo", backend="sagemaker-async", endpoint=a_described_endpoint(status="Parked"), next=step)

    status = command("status", "demo").stdout

    assert "look at its endpoint, due now" in status
    assert "Parked: the next call makes it" in status


def test_terms_that_are_not_accepted_are_told_in_the_command_s_words(command, api, a_problem):
    address = "s3://jumpstart-cache-prod-us-east-1/fmhMetadata/eula/llama.txt"
    detail = (
        f'jumpstart://llama may be used by those who accept its terms. Read {address}, then send "accept_eula": true.'
    )
    api.failures = [a_problem(422, "source-gated", detail, field="accept_eula", eula=[address])]

    shown = command("preflight", "jumpstart://llama", *ASYNC, code=1).stderr

    assert f"Read them: aws s3 cp {address} -\n" in shown
    assert "add --accept-eula to the same command" in shown
    assert '"accept_eula": true' not in shown


def test_terms_of_a_simulated_catalogue_are_read_where_it_is(command, api, a_problem):
    address = "s3://jumpstart-cache-prod-us-east-1/fmhMetadata/eula/smallLlamaEula.txt"
    api.failures = [a_problem(422, "source-gated", "Read them.", field="accept_eula", eula=[address])]
    api.health["s3_endpoint"] = "http://127.0.0.1:46001"

    shown = command("preflight", "jumpstart://llama", *ASYNC, code=1).stderr

    assert f" aws --endpoint-url http://127.0.0.1:46001 s3 cp {address} -\n" in shown


def test_a_long_list_in_which_what_was_found_stands_is_cut(command, api):
    regions = ", ".join(f"us-east-{number}" for number in range(1, 31))
    passed = {"name": "region", "outcome": "passed", "found": "us-east-1", "supported": regions}
    refused = {**passed, "name": "instance", "outcome": "refused", "found": "nowhere"}
    api.verdict = {"accepted": False, "checks": [passed], "facts": {}}
    short = command("preflight", "hf://org/model", code=3).stdout
    api.verdict = {"accepted": False, "checks": [refused], "facts": {}}
    whole = command("preflight", "hf://org/model", code=3).stdout

    assert "us-east-1, us-east-2, us-east-3, us-east-4 and 26 more" in short
    assert "us-east-30" in whole


def test_status_shows_why_an_endpoint_failed_and_the_last_that_its_container_wrote(command, api, a_described_endpoint):
    failure = {"reason": "health check", "log_lines": ["CUDA out of [bold]memory"], "at": "2026-11-20T11:58:00Z"}
    api.has("demo", "FAILED", backend="sagemaker-async", endpoint=a_described_endpoint(failure=failure))

    assert "CUDA out of [bold]memory" in command("status", "demo").stdout


def test_update_sends_what_is_to_change_and_nothing_else(command, api, a_described_endpoint):
    api.has("demo", backend="sagemaker-async", endpoint=a_described_endpoint())

    shown = command(*("update", "demo", "--instance-type", "ml.g6.xlarge", "--max", "4", "--strategy", "rolling"))

    assert api.bodies("PATCH", "/deployments/demo") == [
        {"instance": {"type": "ml.g6.xlarge"}, "scaling": {"max": 4}, "strategy": "rolling"}
    ]
    assert "from revision 1 to 2 (rolling)" in shown.stdout


def test_update_adds_options_and_variables_to_those_that_there_are(
    command, api, a_described_endpoint, a_described_revision
):
    api.has("demo", backend="sagemaker-async", endpoint=a_described_endpoint(revision=2, min=1, max=9))
    api.revisions = [a_described_revision(3, status="FAILED", serving={}), a_described_revision(2)]

    command(
        *("update", "demo", "--max", "4", "--option", "a=b", "--env", "B=2"),
        *("--serving", "dtype=fp16", "--reason", "cheaper"),
    )

    assert api.bodies("PATCH", "/deployments/demo") == [
        {
            "scaling": {"max": 4},
            "serving": {"dtype": "fp16", "options": {"max_model_len": "8192", "a": "b"}},
            "container": {"environment": {"A": "1", "B": "2"}},
            "reason": "cheaper",
        }
    ]


def test_an_image_takes_the_place_of_the_version_that_it_stands_for(
    command, api, a_described_endpoint, a_described_revision
):
    api.has("demo", backend="sagemaker-realtime", endpoint=a_described_endpoint())
    api.revisions = [a_described_revision(1)]

    command("update", "demo", "--image", "a/b:1", "--min", "1")

    (body,) = api.bodies("PATCH", "/deployments/demo")
    assert body == {"container": {"image": "a/b:1", "version": None}, "scaling": {"min": 1}}


@pytest.mark.parametrize("options", [(), ("--strategy", "rolling"), ("--min", "3", "--max", "1")])
def test_an_update_of_nothing_or_of_nonsense_is_told_before_anything_is_sent(command, api, options):
    command("update", "demo", *options, code=2)

    assert api.requests == []


def test_an_update_is_watched_until_its_revision_is_in_service(command, api, a_described_endpoint):
    api.has("demo", backend="sagemaker-async", endpoint=a_described_endpoint())
    under_way = {"revision": 2, "previous": 1, "strategy": "blue-green", "started_at": "2026-11-20T11:58:00Z"}
    updating = a_described_endpoint(status="Updating", update=under_way)
    there = {"endpoint": a_described_endpoint(revision=2)}
    api.will_go("demo", {}, {}, {"endpoint": updating}, there)

    *changes, last = command.lines("update", "demo", "--option", "a=b", "--watch")

    assert [(change["revision"], change["update"]) for change in changes] == [
        *((2, "queued"), (2, "updating"), (2, "done")),
    ]
    assert last["endpoint"]["revision"] == 2
    api.has("demo", backend="sagemaker-async", endpoint=a_described_endpoint())
    api.will_go("demo", {}, {}, {"endpoint": updating}, {"endpoint": a_described_endpoint(update=under_way)}, there)
    told = command("update", "demo", "--option", "a=b", "--watch").stderr
    assert told.splitlines() == ["revision 2: queued", "revision 2: updating", "revision 2: done"]


def test_an_update_that_is_rolled_back_ends_with_1_and_says_where_it_stands(command, api, a_described_endpoint):
    api.has("demo", backend="sagemaker-async", endpoint=a_described_endpoint())
    api.will_go("demo", {}, {}, {"endpoint": a_described_endpoint(revision=1)})

    told = command("update", "demo", "--option", "a=b", "--watch", code=1).stderr

    assert "Revision 2 of demo is not in service: the deployment is SERVING and stays on revision 1" in told
    assert "pilotlight events demo says why" in told


def test_an_update_says_what_the_new_instances_cost_beside_the_old_ones(command, api, a_described_endpoint):
    api.new_instances = {"instance_type": "ml.p5.48xlarge", "instances": 1, "usd_per_instance_hour": 63.296}
    told = "1 × ml.g5.2xlarge at $1.51 an hour each → 1 × ml.p5.48xlarge at $63.30 an hour each"
    change = ("update", "demo", "--instance-type", "ml.p5.48xlarge")
    api.has("demo", backend="sagemaker-async", endpoint=a_described_endpoint())

    at_once = command(*change).stdout
    api.has("demo", backend="sagemaker-async", endpoint=a_described_endpoint())
    api.will_go("demo", {}, {}, {"endpoint": a_described_endpoint(revision=2)})
    watched = command(*change, "--watch").stderr

    assert told in at_once
    assert watched.splitlines()[:2] == [told, "revision 2: queued"]


def test_an_update_that_failed_says_why_where_it_is_watched_and_in_the_status(command, api, a_described_endpoint):
    reason = "no capacity of [bold]ml.p5.48xlarge"
    failed = {"revision": 2, "reason": reason, "at": "2026-11-20T11:58:00Z"}
    api.has("demo", backend="sagemaker-async", endpoint=a_described_endpoint())
    api.will_go("demo", {}, {}, {"endpoint": a_described_endpoint(failed_update=failed)})

    told = command("update", "demo", "--option", "a=b", "--watch", code=1).stderr

    assert f"stays on revision 1. {reason}" in told
    assert "pilotlight events" not in told
    assert "to revision 2, 2 min ago" in (shown := command("status", "demo").stdout)
    assert reason in shown


def test_a_change_that_needs_no_new_revision_is_over_at_once(command, api, a_described_endpoint):
    api.has("demo", backend="sagemaker-async", endpoint=a_described_endpoint())
    api.will_go("demo", {"endpoint": a_described_endpoint(max=4)})

    assert command.lines("update", "demo", "--max", "4", "--watch")[-1]["endpoint"]["max"] == 4


def test_an_update_that_is_watched_too_long_ends_with_5(command, api, a_described_endpoint):
    api.has("demo", backend="sagemaker-async", endpoint=a_described_endpoint())

    command("update", "demo", "--image", "a/b:1", "--watch", "--timeout", "5", code=5)


def test_rollback_names_a_revision_or_takes_the_one_before(command, api, a_described_endpoint):
    api.has("demo", backend="sagemaker-async", endpoint=a_described_endpoint(revision=3))

    command("rollback", "demo")
    command("rollback", "demo", "--revision", "2", "--strategy", "rolling")
    command("rollback", "demo", "--revision", "0", code=2)

    assert api.bodies("POST", "/deployments/demo/rollback") == [{}, {"revision": 2, "strategy": "rolling"}]


def test_a_rollback_may_be_watched(command, api, a_described_endpoint):
    api.has("demo", backend="sagemaker-async", endpoint=a_described_endpoint(revision=3))
    api.will_go("demo", {}, {"endpoint": a_described_endpoint(revision=2)})

    assert command.lines("rollback", "demo", "--revision", "2", "--watch")[-1]["endpoint"]["revision"] == 2


def test_revisions_are_listed_over_all_pages_with_the_one_in_service_marked(
    command, api, a_described_endpoint, a_described_revision
):
    api.has("demo", backend="sagemaker-async", endpoint=a_described_endpoint(revision=2))
    api.revisions = [
        a_described_revision(number, status=status)
        for number, status in ((3, "FAILED"), (2, "IN_SERVICE"), (1, "RETIRED"))
    ]

    shown = command("revisions", "demo").stdout

    assert [line.split()[:2] for line in shown.splitlines()[1:]] == [["3", "FAILED"], ["2", "←"], ["1", "RETIRED"]]
    assert "djl-inference:0.36.0" in shown
    assert command.json("revisions", "demo") == {"items": api.revisions}


def test_revisions_of_a_model_on_bedrock_are_none(command, api):
    api.has("demo")

    assert "only models on instances have them" in command("revisions", "demo").stdout


@pytest.mark.parametrize("arguments", [("update", "x", "--max", "1"), ("rollback", "x"), ("revisions", "x")])
def test_a_change_of_nothing_is_refused(command, arguments):
    assert command.problem(*arguments)["code"] == "not-found"


def test_the_example_s_own_command_is_understood(command, api):
    page = (ROOT / "examples/bart-feature-extraction/README.md").read_text(encoding="utf-8")
    typed = page.partition("    pilotlight deploy ")[2].partition("\n\n")[0].replace("\\\n", " ")

    command("deploy", *[str(ROOT / word) if word.startswith("examples/") else word for word in typed.split()])

    serving = section(api, "serving")
    assert set(serving.pop("files")) == {"model.py", "requirements.txt"}
    body = json.loads(page.partition("```json\n")[2].partition("```")[0])
    assert serving == body["serving"]
    assert section(api, "instance") == body["instance"]


def test_every_option_about_instances_is_in_the_help_of_whoever_takes_them(command):
    for name in ("deploy", "update", "preflight"):
        shown = command(name, "--help").stdout
        for option in ("instance-type", "optimize-for", "initial", "scale-in", "serving", "option", "handler", "image"):
            assert f"--{option}" in shown


def _plain(result):
    return " ".join(result.stderr.replace("│", " ").split())
