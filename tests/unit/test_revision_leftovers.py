"""A revision is kept before anything tells of it: one that comes when its deployment is over goes again."""

import pytest
from pilotlight.contracts import UpdateRequest
from pilotlight.domain.bundle import bundle_folder
from pilotlight.domain.containers import ContainerSettings
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import Superseded

CHANGED = UpdateRequest(container=ContainerSettings(environment={"SERVING_LOG_LEVEL": "debug"}))


def tear_down(world) -> None:
    """Remove all of a deployment but its record."""
    world.tearing_down.begin("llama", reason="deleted on request", correlation_id="c-teardown")
    while not world.removing.delete(world.task()).done:
        world.clock.advance(seconds=120)
        world.endpoints.vanish("pilotlight-llama-g1")
    world.tearing_down.mark_gone(world.task())


def meanwhile(world, monkeypatch, act) -> None:
    """Let something happen just before a revision is kept."""
    add = world.revisions.add

    def late(revision):
        act(world)
        add(revision)

    monkeypatch.setattr(world.revisions, "add", late)


def left(world) -> tuple[list[int], list[str]]:
    """Return the revisions that are kept of it, and its bundles."""
    bundles = [key for key in world.bucket.objects if key.startswith(bundle_folder("llama", 1))]
    return [each.number for each in world.revisions.newest_first("llama", 1)], bundles


def test_a_teardown_forgets_the_revision_of_an_endpoint_that_was_never_asked_for(world):
    world.host(Status.STAGING)
    world.revising.first(world.deployments.get("llama"))
    assert left(world)[0] == [1]

    tear_down(world)

    assert left(world) == ([], [])


def test_a_revision_that_is_kept_past_a_teardown_is_forgotten(world, monkeypatch):
    world.host(Status.STAGING)
    meanwhile(world, monkeypatch, tear_down)

    with pytest.raises(Superseded):
        world.creating.start(world.task())

    assert world.status() is Status.GONE
    assert left(world) == ([], [])


def test_a_revision_of_an_update_that_comes_past_a_teardown_is_forgotten(world, monkeypatch):
    world.host()
    meanwhile(world, monkeypatch, tear_down)

    with pytest.raises(Superseded):
        world.updating.update("llama", CHANGED)

    assert left(world) == ([], [])


def test_a_step_that_comes_late_forgets_nothing_of_what_serves(world):
    world.host()

    with pytest.raises(Superseded):
        world.creating.start(world.task())

    assert left(world)[0] == [1]
