"""A checkpoint folder in the upload bucket starts its import by itself: once, whatever the events."""

import json
import random
from pathlib import Path

from tests.workflows.world import World, eventually


def put(world: World, folder: str, files: list[Path], root: Path) -> None:
    for file in files:
        key = f"uploads/{folder}/{file.relative_to(root).as_posix()}"
        world.cloud.client("s3").put_object(Bucket=world.upload_bucket, Key=key, Body=file.read_bytes())


def put_text(world: World, folder: str, name: str, text: str) -> None:
    world.cloud.client("s3").put_object(Bucket=world.upload_bucket, Key=f"uploads/{folder}/{name}", Body=text.encode())


def files_of(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def upload(world: World, folder: str) -> dict:
    """Give a folder as GET /uploads shows it, or nothing while it is not known."""
    items: list[dict] = []
    cursor: str | None = None
    while True:
        page = world.http.get("/uploads", params={"cursor": cursor} if cursor else {}).json()
        items += page["items"]
        cursor = page.get("next")
        if not cursor:
            return next((item for item in items if item["folder"] == folder), {})


def until(world: World, folder: str, status: str) -> dict:
    return eventually(
        lambda: view if (view := upload(world, folder)).get("status") == status else None,
        f"{folder} to be {status}",
        but=lambda: str(upload(world, folder)),
    )


def complete(world: World, folder: str) -> None:
    put(world, folder, files_of(world.checkpoint), world.checkpoint)
    put_text(world, folder, "_COMPLETE", "")


def test_a_folder_in_any_order_with_repeats_starts_once_when_it_rests(world: World) -> None:
    folder, files = world.name(), files_of(world.checkpoint)
    shuffled = random.Random(7).sample(files, len(files))

    put(world, folder, [*shuffled, *shuffled[:5]], world.checkpoint)

    started = until(world, folder, "STARTED")
    world.until(folder, "SERVING")
    assert started["deployment"] == folder
    assert started["size_bytes"] == sum(file.stat().st_size for file in files)
    assert world.executions("deploy", folder) == [f"{folder}-g1"]
    assert world.deployment(folder)["source"] == f"s3://{world.upload_bucket}/uploads/{folder}/"


def test_a_mark_of_completeness_skips_the_rest(world: World) -> None:
    folder = world.name()

    complete(world, folder)
    before = world.cloud.clock.now()
    view = until(world, folder, "STARTED")

    assert view["reason"] == "started as generation 1"
    assert (world.cloud.clock.now() - before).total_seconds() < 3600
    world.until(folder, "SERVING")
    again = world.cloud.client("s3")
    again.put_object(Bucket=world.upload_bucket, Key=f"uploads/{folder}/_COMPLETE", Body=b"")
    eventually(lambda: upload(world, folder)["updated_at"] > view["updated_at"], "another look")
    assert world.executions("deploy", folder) == [f"{folder}-g1"]


def test_an_incomplete_folder_says_what_is_missing_and_starts_when_it_comes(world: World) -> None:
    folder = world.name()
    late = next(path for path in files_of(world.checkpoint) if path.suffix == ".safetensors")
    tokenizer = world.checkpoint / "tokenizer.json"
    put(world, folder, [path for path in files_of(world.checkpoint) if path not in (late, tokenizer)], world.checkpoint)

    view = until(world, folder, "INCOMPLETE")
    assert sorted(view["missing"]) == sorted([late.name, "tokenizer.json"])
    assert world.http.get(f"/deployments/{folder}").status_code == 404

    put(world, folder, [late, tokenizer], world.checkpoint)
    until(world, folder, "STARTED")
    world.until(folder, "SERVING")


def test_a_changed_folder_of_a_live_deployment_is_held_and_starts_after_it_is_gone(world: World) -> None:
    folder = world.name()
    complete(world, folder)
    world.until(folder, "SERVING")

    put_text(world, folder, "generation_config.json", '{"temperature": 0.5}')
    put_text(world, folder, "_COMPLETE", "")
    view = until(world, folder, "HELD")

    assert view["held_by"] == folder
    assert f"deployment {folder} is SERVING; this version starts after it is GONE" in view["reason"]

    world.http.delete(f"/deployments/{folder}")
    eventually(lambda: world.deployment(folder)["generation"] == 2, "the next generation")
    world.until(folder, "SERVING")
    assert until(world, folder, "STARTED")["reason"] == "started as generation 2"


def test_a_folder_that_bedrock_would_not_take_is_refused_with_the_reason(world: World) -> None:
    folder = world.name()
    config = json.loads((world.checkpoint / "config.json").read_text())
    config |= {"model_type": "falcon", "architectures": ["FalconForCausalLM"]}
    put(world, folder, [path for path in files_of(world.checkpoint) if path.name != "config.json"], world.checkpoint)
    put_text(world, folder, "config.json", json.dumps(config))
    put_text(world, folder, "_COMPLETE", "")

    view = until(world, folder, "REFUSED")

    assert "architecture: found falcon (FalconForCausalLM)" in view["reason"]
    assert world.http.get(f"/deployments/{folder}").status_code == 404


def test_a_folder_whose_name_no_deployment_may_have_is_refused(world: World) -> None:
    put_text(world, "My_Model", "config.json", "{}")
    put_text(world, "My_Model", "_COMPLETE", "")

    assert "cannot name a deployment" in until(world, "My_Model", "REFUSED")["reason"]


def test_settings_in_the_folder_reach_the_deployment(world: World) -> None:
    folder = world.name()
    put_text(world, folder, "pilotlight.json", '{"lease": "8h", "tags": {"team": "research"}}')

    complete(world, folder)

    until(world, folder, "STARTED")
    view = world.deployment(folder)
    assert (view["lease"], view["tags"]) == ("8h", {"team": "research"})
    world.until(folder, "SERVING")
    staged = world.objects(f"artifacts/{world.deployment(folder)['artifact_id']}/weights/")
    assert not [key for key in staged if key.endswith(("pilotlight.json", "_COMPLETE"))]


def test_settings_that_break_a_rule_are_refused_naming_it(world: World) -> None:
    folder = world.name()
    put_text(world, folder, "pilotlight.json", '{"lease": "soon", "colour": "red"}')

    complete(world, folder)

    reason = until(world, folder, "REFUSED")["reason"]
    assert "lease" in reason
    assert "colour" in reason


def test_a_folder_for_which_there_is_no_place_is_held_and_starts_when_there_is_one(world: World) -> None:
    holder = world.serving()
    world.bedrock.settings.imported_models = len(world.bedrock.models)
    folder = world.name()

    complete(world, folder)
    view = until(world, folder, "HELD")
    assert "L-45B04988" in view["reason"]
    assert f"pilotlight-{holder}-g1" in view["reason"]

    world.bedrock.settings.imported_models = 200
    world.until(folder, "SERVING")
