import httpx
import pytest

NOW = "2026-11-20T12:00:00Z"
STAGING = {
    "status": "STAGING",
    "progress": {"staged_bytes": 8_000_000_000, "total_bytes": 16_000_000_000, "percent": 50},
}
IMPORTING = {"status": "IMPORTING", "progress": None}
SERVING = {
    "status": "SERVING",
    "warmth": {"state": "WARM", "as_of": "2026-11-20T12:00:00Z", "cold_start_seconds": 95.0},
}
FAILURE = {"code": "import-failed", "reason": "the tokenizer [bold] is not supported", "during": "IMPORTING"}


def test_deploy_says_what_it_began_and_how_to_follow_it(command, api):
    result = command("deploy", "hf://org/model", "--name", "demo", "--lease", "permanent", "--tag", "team=nlp")

    assert "REQUESTED" in result.stdout
    assert "pilotlight status demo --watch" in result.stderr
    body = api.bodies("POST", "/deployments")[0]
    assert (body["lease"], body["tags"]) == ("permanent", {"team": "nlp"})


def test_deploy_reads_windows_as_they_are_spoken(command, api):
    command(
        *("deploy", "hf://org/model", "--name", "demo"),
        *("--keep-warm", "MON-FRI 09:00-18:00 Europe/Berlin", "--keep-warm", "SAT,SUN 10:00-12:00"),
    )

    assert api.bodies("POST", "/deployments")[0]["keep_warm"] == {
        "policy": "window",
        "windows": [
            {"days": "MON-FRI", "start": "09:00", "end": "18:00", "timezone": "Europe/Berlin"},
            {"days": "SAT,SUN", "start": "10:00", "end": "12:00"},
        ],
    }


@pytest.mark.parametrize(
    "wrong",
    [
        ("--keep-warm", "office hours"),
        ("--keep-warm", "none", "--keep-warm", "MON 09:00-10:00"),
        ("--tag", "team"),
        ("--nonsense",),
    ],
)
def test_deploy_tells_wrong_usage_before_it_asks_the_api(command, api, wrong):
    command("deploy", "hf://org/model", "--name", "demo", *wrong, code=2)

    assert api.requests == []


def test_deploy_with_json_prints_the_document_as_the_api_gave_it(command, api):
    document = command.json("deploy", "hf://org/model", "--name", "demo")

    assert document == api.deployments["demo"]


def test_deploy_watched_goes_through_every_state_to_the_picture_of_the_end(command, api):
    waiting = {**IMPORTING, "waiting_for": "one import at a time: other has the slot"}
    started = {"waiting_for": None}
    api.will_go("demo", {}, STAGING, STAGING, waiting, waiting, started, {"status": "WARMING"}, SERVING)

    result = command("deploy", "hf://org/model", "--name", "demo", "--watch")

    told = [line.split()[0] for line in result.stderr.splitlines() if line[0] != " "]
    assert told == ["REQUESTED", "STAGING", "IMPORTING", "WARMING", "SERVING"]
    assert "staged 8.0 GB of 16.0 GB" in result.stderr
    assert result.stderr.count("waits: one import at a time: other has the slot") == 1
    assert "SERVING · WARM" in result.stdout


def test_deploy_watched_with_json_prints_each_status_once_and_then_the_deployment(command, api):
    api.will_go("demo", STAGING, STAGING, IMPORTING, SERVING)

    *changes, last = command.lines("deploy", "hf://org/model", "--name", "demo", "--watch")

    assert [change["status"] for change in changes] == ["REQUESTED", "STAGING", "IMPORTING", "SERVING"]
    assert all(set(change) == {"name", "status", "at"} for change in changes)
    assert last == api.deployments["demo"]


def test_a_deployment_that_fails_while_watched_says_why_and_ends_with_1(command, api):
    api.will_go("demo", STAGING, IMPORTING, {"status": "FAILED", "failure": FAILURE})

    result = command("deploy", "hf://org/model", "--name", "demo", "--watch", code=1)

    assert "Deployment demo FAILED while IMPORTING: the tokenizer [bold] is not supported" in result.stderr
    assert result.stderr.count("the tokenizer [bold] is not supported") == 1
    assert "Traceback" not in result.output


def test_a_failure_with_json_is_a_problem_on_stderr_and_the_record_on_stdout(command, api):
    api.will_go("demo", {"status": "FAILED", "failure": {**FAILURE, "code": "preflight-refused"}})

    problem = command.problem("deploy", "hf://org/model", "--name", "demo", "--watch", code=3)

    assert problem["failure"]["code"] == "preflight-refused"


def test_watching_that_takes_too_long_ends_with_5_and_says_that_the_work_goes_on(command, api):
    api.will_go("demo", STAGING)

    result = command("deploy", "hf://org/model", "--name", "demo", "--watch", "--timeout", "5", code=5)

    assert "nothing was stopped by that. Follow it with: pilotlight status demo --watch" in result.stderr


def test_an_interruption_says_that_the_deployment_goes_on(command, api, clock):
    api.will_go("demo", STAGING)
    clock.before_sleep = interrupt

    result = command("deploy", "hf://org/model", "--name", "demo", "--watch", code=130)

    assert "deployment demo goes on. Follow it with: pilotlight status demo --watch" in result.stderr


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_taken_name_is_one_sentence_for_a_person_and_the_api_s_problem_with_json(command, api):
    api.has("demo")

    person = command("deploy", "hf://org/model", "--name", "demo", code=1)
    program = command.problem("deploy", "hf://org/model", "--name", "demo")

    assert person.stderr == "The name demo is taken by a deployment of hf://org/model@main.\n"
    assert person.stdout == ""
    assert (program["status"], program["code"], program["holder"]) == (409, "name-taken", "hf://org/model@main")


def test_nobody_at_the_url_ends_with_4(command, api):
    api.failures = [httpx.ConnectError("refused")] * 20

    result = command("list", "--url", "http://127.0.0.1:9", code=4)

    assert "No Pilotlight at http://127.0.0.1:9: start one with `make up`" in result.stderr
    assert command.problem("list", code=4)["code"] == "not-reachable"


def test_list_shows_what_lives_on_all_pages_and_what_it_costs(command, api):
    for name in ("one", "three", "two"):
        api.has(name)
    api.has("old", "GONE")

    result = command("list")

    assert "$27.45/h (estimated)" in result.stdout
    assert "old" not in result.stdout
    assert [view["name"] for view in command.json("list")["items"]] == ["one", "three", "two"]
    assert len(command.json("list", "--all")["items"]) == 4


def test_list_without_deployments_says_how_to_begin(command):
    assert "pilotlight deploy" in command("list").stdout


def test_status_shows_everything_at_a_glance(command, api, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    api.has(
        "demo",
        "STAGING",
        progress={
            "staged_bytes": 4_000_000,
            "total_bytes": 16_000_000,
            "percent": 25.0,
            "bytes_per_second": 2_000_000,
            "seconds_left": 6,
            "files": [
                {"path": "one.safetensors", "staged_bytes": 3_000_000, "total_bytes": 3_000_000},
                {"path": "[red]two.safetensors", "staged_bytes": 1_000_000, "total_bytes": 4_000_000},
                {"path": "three.safetensors", "staged_bytes": 0, "total_bytes": 9_000_000},
            ],
        },
        next={"what": "the lease ends", "at": "2026-11-20T20:00:00Z"},
        keep_warm={"policy": "window", "windows": [{"days": "MON-FRI", "start": "09:00", "end": "18:00"}]},
        next_window={"opens_at": "2026-11-23T09:00:00Z", "closes_at": "2026-11-20T18:00:00Z"},
        tags={"team": "[red]nlp"},
        units=8,
    )

    shown = command("status", "demo").stdout

    for expected in (
        "demo  generation 1",
        "STAGING",
        "4.0 MB of 16.0 MB (25 %) at 2.0 MB a second, 6 s left",
        "1 of 3 large files are whole",
        "[red]two.safetensors  25 %",
        "the lease ends, in 8 h (2026-11-20 20:00",
        "hf://org/model@c0ffeec0ffee",
        "8 custom model units",
        "$0.29 (estimated)",
        "$27.45/h (estimated)",
        "MON-FRI 09:00-18:00 UTC",
        "opens in 2 d 21 h (2026-11-23 09:00",
        "team=[red]nlp",
    ):
        assert expected in shown


def test_status_of_nothing_is_refused(command):
    assert command("status", "nobody", code=1).stderr == "There is no deployment nobody.\n"


def test_status_watched_follows_a_teardown_to_its_end(command, api):
    api.has("demo", "TEARING_DOWN")
    api.will_go("demo", {}, {}, {"status": "GONE"})

    assert command.lines("status", "demo", "--watch")[-1]["status"] == "GONE"


def event(reason: str, **fields: object) -> dict[str, object]:
    return {"at": "2026-11-20T12:00:00Z", "kind": "note", "reason": reason, "generation": 1, **fields}


def test_events_show_the_reasons_of_all_pages_in_their_order(command, api):
    api.events["demo"] = [
        event("asked", after="REQUESTED"),
        event("b", before="REQUESTED", after="STAGING"),
        event("c"),
    ]

    result = command("events", "demo")

    assert [line.split()[-1] for line in result.stdout.splitlines()] == ["asked", "b", "c"]
    assert "REQUESTED → STAGING" in result.stdout
    assert len(command.json("events", "demo")["items"]) == 3


def test_a_long_reason_stays_on_one_line_when_it_is_piped(command, api):
    api.events["demo"] = [event("because " * 60)]

    assert len(command("events", "demo").stdout.splitlines()) == 1


def test_events_followed_come_once_each_until_the_deployment_is_gone(command, api, clock):
    api.events["demo"] = [event("1")]
    coming = [[event("2"), event("3")], [], [event("4"), event("5", after="GONE")]]
    clock.before_sleep = lambda: api.events["demo"].extend(coming.pop(0))

    lines = command.lines("events", "demo", "--follow")

    assert [line["reason"] for line in lines] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("arguments", [("warm-up", "demo"), ("scale-down", "demo"), ("lease", "demo", "3d")])
def test_a_change_says_in_a_line_what_it_made(command, api, arguments):
    api.has("demo")

    assert command(*arguments).stdout.startswith("demo is SERVING · ")
    assert command.json(*arguments) == api.deployments["demo"]


def test_scale_down_says_by_when_the_model_is_cold(command, api):
    api.has("demo")

    assert "Next: the model is cold, in 5 min" in command("scale-down", "demo").stderr


def test_scale_down_of_a_warm_model_says_until_when_it_is_warm(command, api):
    warmth = {"state": "WARM", "as_of": NOW, "warm_until": "2026-11-20T12:04:00Z", "cold_start_seconds": 110.0}
    api.failures = [httpx.Response(202, json=api.has("demo", warmth=warmth), headers={"X-Pilotlight-Now": NOW})]

    assert "Cold in 4 min (" in command("scale-down", "demo").stderr


def test_keep_warm_sets_windows_and_lets_go_again(command, api):
    api.has("demo")

    command("keep-warm", "demo", "MON-FRI 09:00-18:00 Asia/Shanghai")
    command("keep-warm", "demo", "none")

    window = {"days": "MON-FRI", "start": "09:00", "end": "18:00", "timezone": "Asia/Shanghai"}
    assert api.bodies("PUT", "/deployments/demo/keep-warm") == [
        {"keep_warm": {"policy": "window", "windows": [window]}},
        {"keep_warm": {"policy": "none"}},
    ]


def test_a_change_of_nothing_is_refused(command):
    for arguments in (("warm-up", "x"), ("scale-down", "x"), ("lease", "x", "8h"), ("keep-warm", "x", "always")):
        assert command.problem(*arguments)["code"] == "not-found"


def warmth(state: str) -> dict[str, object]:
    return {"warmth": {"state": state, "as_of": "2026-11-20T12:00:00Z", "cold_start_seconds": 95.0}}


def test_warm_up_watched_ends_when_the_model_is_warm(command, api):
    api.has("demo")
    api.will_go("demo", {}, {}, warmth("WARM"))

    *changes, last = command.lines("warm-up", "demo", "--watch")

    assert [change["warmth"] for change in changes] == ["WAKING", "WARM"]
    assert last["warmth"]["state"] == "WARM"


def test_warm_up_watched_says_when_the_model_did_not_answer(command, api):
    api.has("demo")
    api.will_go("demo", {}, warmth("COLD"))

    assert "pilotlight events demo says why" in command("warm-up", "demo", "--watch", code=1).stderr


def test_retry_goes_on_from_a_failure_and_only_from_one(command, api):
    api.has("demo", "FAILED", failure=FAILURE)
    api.will_go("demo", IMPORTING, SERVING)

    assert command.lines("retry", "demo", "--watch")[-1]["attempt"] == 2
    assert command.problem("retry", "demo")["code"] == "illegal-transition"


def test_teardown_without_yes_is_wrong_where_nobody_can_be_asked(command, api):
    api.has("demo")

    assert "--yes" in command("teardown", "demo", code=2).stderr
    assert api.requests == []


def test_teardown_asks_whoever_is_there(command, api):
    api.has("demo")
    command.somebody_is_there = True

    command("teardown", "demo", stdin="n\n", code=1)
    assert api.deployments["demo"]["status"] == "SERVING"

    command("teardown", "demo", stdin="y\n")
    assert api.deployments["demo"]["status"] == "TEARING_DOWN"


def test_teardown_watched_ends_when_it_is_gone(command, api):
    api.has("demo")
    api.will_go("demo", {}, {}, {"status": "GONE"})

    *changes, last = command.lines("teardown", "demo", "--yes", "--watch")

    assert [change["status"] for change in changes] == ["TEARING_DOWN", "GONE"]
    assert last["status"] == "GONE"


def test_teardown_of_several_goes_on_past_one_that_is_refused(command, api):
    api.has("one")
    api.has("three")

    result = command("teardown", "one", "two", "three", "--yes", code=1)

    assert [view["status"] for view in api.deployments.values()] == ["TEARING_DOWN", "TEARING_DOWN"]
    assert result.stderr == "There is no deployment two.\n"


def test_a_teardown_of_what_failed_does_not_tell_that_as_its_own(command, api):
    api.has("demo", "FAILED", failure=FAILURE)
    api.will_go("demo", {}, {"status": "GONE"})

    result = command("teardown", "demo", "--yes", "--watch")

    assert FAILURE["reason"] not in result.stderr
    assert "every trace is removed" in result.stderr
    assert "had failed" in result.stdout


def test_no_command_is_without_json_url_and_help(command):
    names = "deploy list status events invoke answer warm-up scale-down retry lease keep-warm teardown preflight upload"

    for name in [*names.split(), "uploads", "health"]:
        shown = command(name, "--help").stdout
        assert "--json" in shown
        assert "--url" in shown
