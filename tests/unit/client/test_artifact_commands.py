"""`pilotlight artifacts` and what is said of how long weights are kept."""

import json

import pytest

ARTIFACT = {
    "id": "a4146667c1632ec14a16",  # pragma: allowlist secret (an id)
    "source": "hf://acme/llama",
    "revision": "0123456789abcdef",
    "status": "SEALED",
    "total_bytes": 8_000_000_000,
    "users": [],
    "cost_per_month": {"usd": 0.17, "basis": "estimated"},
    "created_at": "2026-11-20T11:00:00Z",
    "updated_at": "2026-11-20T11:00:00Z",
    "keep": "retain",
    "last_used_at": "2026-11-20T11:00:00Z",
}


@pytest.mark.parametrize("wish", ["retain", "delete", "collect_after:3d"])
def test_deploy_says_how_long_weights_are_kept(command, api, wish):
    command("deploy", "hf://org/model", "--name", "demo", "--artifact", wish)

    assert api.bodies("POST", "/deployments")[0]["artifact"] == wish


def test_deploy_leaves_it_to_the_stack_where_nobody_says(command, api):
    command("deploy", "hf://org/model", "--name", "demo")

    assert "artifact" not in api.bodies("POST", "/deployments")[0]


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ("retain", "kept until deleted"),
        ("delete", "gone with the last user"),
        ("collect_after:3d", "kept 3d after use"),
    ],
)
def test_status_shows_how_long_weights_are_kept(command, api, wish, told):
    api.has("demo", artifact=wish)

    assert told in command("status", "demo").stdout


def test_artifacts_are_listed(command, api):
    api.artifacts.append(dict(ARTIFACT))

    assert command.json("artifacts") == {"items": [ARTIFACT]}
    assert api.sent("GET", "/artifacts")


@pytest.mark.parametrize("columns", [40, 80, 139, 140, 200])
def test_an_id_is_never_broken_however_narrow_the_terminal_is(command, api, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    api.artifacts += [{**ARTIFACT, "users": ["demo-g1"]}, {**ARTIFACT, "id": "b" * 20}]

    lines = command("artifacts").stdout.splitlines()

    beginnings = [line.split(" ")[0] for line in lines]
    assert [word for word in beginnings if word in {ARTIFACT["id"], "b" * 20}] == [ARTIFACT["id"], "b" * 20]
    assert max(map(len, lines)) <= columns
    told = "".join("".join(lines).split())
    for expected in ("SEALED", "8.0GB", "demo-g1", "nobody"):
        assert expected in told


@pytest.mark.parametrize("columns", [80, 200])
def test_weights_whose_time_is_over_are_told_as_due_to_go(command, api, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    api.artifacts.append({**ARTIFACT, "kept_until": "2026-11-20T11:59:00Z"})
    api.artifacts.append({**ARTIFACT, "status": "DELETING", "kept_until": "2026-11-20T11:59:00Z"})

    told = "".join(command("artifacts").stdout.split())

    assert "until" not in told
    if columns == 80:
        assert "nolonger:duetogowiththenextreconciliation" in told
        assert "nolonger:itisbeingdeleted" in told


def test_weights_that_nobody_uses_are_deleted_on_request(command, api):
    api.artifacts.append(dict(ARTIFACT))

    result = command("artifacts", "delete", str(ARTIFACT["id"]))

    assert api.artifacts[0]["keep"] == "delete"
    assert "next reconciliation collects it" in result.stderr
    assert not api.sent("GET", "/artifacts")


def test_weights_that_are_used_stay_and_their_users_are_named(command, api):
    api.artifacts.append({**ARTIFACT, "users": ["demo-g1"]})

    result = command("artifacts", "delete", str(ARTIFACT["id"]), "--json", code=1)

    problem = json.loads(result.stderr)
    assert (problem["code"], problem["users"]) == ("artifact-in-use", ["demo-g1"])
