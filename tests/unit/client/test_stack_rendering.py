"""What a person sees of the stack itself."""

from datetime import UTC, datetime

import pytest
from pilotlight_client import stack_rendering
from pilotlight_client.views import KillSwitchView, OrphanPage
from rich.console import Console

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def shown(picture: object) -> str:
    console = Console(width=300)
    with console.capture() as captured:
        console.print(picture)
    return captured.get()


def a_switch(**fields: object) -> KillSwitchView:
    return KillSwitchView(**{"on": False, "readable": True, **fields})  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("view", "told"),
    [
        (a_switch(), "The kill switch is off."),
        (a_switch(reason="it was a drill"), "The kill switch is off: it was a drill."),
        (
            a_switch(reason="it was a drill", since="2026-11-20T11:55:00Z", by="ada"),
            "The kill switch is off, turned 5 min ago (",
        ),
        (a_switch(by="ada", reason="it was a drill"), "The kill switch is off, turned by ada: it was a drill."),
        (a_switch(on=True, reason="the bill"), "The kill switch is on: the bill. Nothing is created, woken"),
    ],
)
def test_the_kill_switch_tells_why_it_is_on_or_off(view: KillSwitchView, told: str) -> None:
    assert told in shown(stack_rendering.kill_switch(view, NOW))


def test_health_tells_of_a_switch_that_is_on_and_of_none_that_is_off() -> None:
    here = {"status": "ok", "version": "1", "stack": "s", "region": "r", "upload_bucket": "b"}

    on = stack_rendering.health({**here, "kill_switch": a_switch(on=True, reason="the bill")}, "http://x", NOW)  # type: ignore[typeddict-item]
    off = stack_rendering.health({**here, "kill_switch": a_switch()}, "http://x", NOW)  # type: ignore[typeddict-item]

    assert "The kill switch is on: the bill" in shown(on)
    assert "kill switch" not in shown(off)


@pytest.mark.parametrize(
    ("decision", "done", "told"),
    [
        ("remove", True, "remove: done"),
        ("remove", False, "remove: still to do"),
        ("look", False, "look: yours to decide"),
        ("leave", False, "left alone for now"),
    ],
)
def test_an_orphan_is_told_with_what_is_left_to_do_and_by_whom(decision: str, done: bool, told: str) -> None:
    finding = {"kind": "artifact", "resource": "artifacts/x/", "decision": decision, "reason": "why", "done": done}
    page = OrphanPage(items=[finding])  # type: ignore[typeddict-item]

    picture = shown(stack_rendering.orphans(page, NOW))

    assert told in picture
    assert "not done" not in picture


@pytest.mark.parametrize(
    ("costs", "told"),
    [
        ({"usd_per_hour": {"usd": 1.408, "basis": "estimated"}}, "$1.41/h (estimated)"),
        ({"usd_per_month": {"usd": 1.95, "basis": "estimated"}}, "$1.95/month (estimated)"),
        ({}, "–"),
    ],
)
def test_an_orphan_is_told_with_what_it_costs(costs: dict[str, object], told: str) -> None:
    finding = {"kind": "endpoint", "resource": "x", "decision": "look", "reason": "why", "done": False}
    since = "2026-11-20T11:55:00Z"
    page = OrphanPage(items=[{**finding, "since": since, **costs}])  # type: ignore[typeddict-item]

    heading, row = shown(stack_rendering.orphans(page, NOW)).splitlines()

    assert row[heading.index("cost") : heading.index("since")].strip() == told


def test_artifacts_are_shown_with_size_users_and_cost():
    artifact = {
        "id": "a1221bd8f92d83b56093",  # pragma: allowlist secret (an id)
        "source": "hf://acme/[red]llama",
        "revision": "0123456789abcdef",
        "status": "SEALED",
        "total_bytes": 141_100_000_000,
        "users": ["demo-g1", "other-g2"],
        "cost_per_month": {"usd": 3.02, "basis": "estimated"},
        "created_at": "2026-11-20T11:00:00Z",
        "updated_at": "2026-11-20T11:00:00Z",
        "keep": "collect_after:7d",
        "last_used_at": "2026-11-20T11:00:00Z",
    }

    text = shown(stack_rendering.artifacts([artifact, {**artifact, "users": []}], NOW))

    for expected in ("hf://acme/[red]llama@0123456789ab", "141.1 GB", "demo-g1, other-g2", "nobody", "$3.02/month"):
        assert expected in text


def test_artifacts_are_shown_with_their_last_use_and_how_long_they_are_kept():
    used = {
        "id": "a1",
        "source": "hf://acme/llama",
        "revision": "0123456789abcdef",
        "status": "SEALED",
        "total_bytes": 1,
        "users": ["demo-g1"],
        "cost_per_month": {"usd": 3.02, "basis": "estimated"},
        "created_at": "2026-11-20T11:00:00Z",
        "updated_at": "2026-11-20T11:00:00Z",
        "keep": "collect_after:7d",
        "last_used_at": "2026-11-20T12:00:00Z",
    }
    unused = {**used, "users": [], "last_used_at": "2026-11-20T11:00:00Z", "kept_until": "2026-11-27T11:00:00Z"}
    retained = {**unused, "keep": "retain", "kept_until": None}

    heading, *rows = shown(stack_rendering.artifacts([used, unused, retained], NOW)).splitlines()
    last_used, kept, cost = (heading.index(column) for column in ("last used", "kept", "cost"))

    assert [row[last_used:kept].strip().split(" (")[0] for row in rows] == ["now", "1 h ago", "1 h ago"]
    assert [row[kept:cost].strip().split(" (")[0] for row in rows] == [
        "kept 7d after use",
        "until in 6 d 23 h",
        "kept until deleted",
    ]


def test_without_artifacts_it_is_said_how_to_come_by_one():
    assert "pilotlight deploy" in shown(stack_rendering.artifacts([], NOW))
