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
