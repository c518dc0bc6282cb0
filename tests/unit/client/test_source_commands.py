ACCEPTED = {
    "accepted": True,
    "facts": {"architecture": "LlamaForCausalLM"},
    "checks": [
        {"name": "architecture", "outcome": "passed", "found": "LlamaForCausalLM", "supported": "Llama, Mistral, Qwen"},
        {"name": "template", "outcome": "warned", "found": "none", "supported": "any", "advice": "send raw prompts"},
    ],
    "staged": ["config.json", "model.safetensors"],
    "skipped": [{"path": "LICENSE", "size_bytes": 1000, "reason": "not needed"}],
    "total_bytes": 16_100_000_000,
}
REFUSED_CHECK = {
    "name": "quota",
    "outcome": "refused",
    "found": "3 of 3 models: a, b, c",
    "supported": "3 (L-EXAMPLE)",
    "advice": "tear one down",
}


def test_an_accepted_preflight_is_a_readable_table(command, api):
    api.verdict = ACCEPTED

    shown = command("preflight", "hf://org/model").stdout

    assert "hf://org/model at c0ffeec0ffee for bedrock in us-east-1: accepted" in shown
    assert "✓" in shown
    assert "send raw prompts" in shown
    assert "2 files to stage, 16.1 GB. Skipped: LICENSE (not needed)." in shown


def test_a_refused_preflight_says_what_to_do_and_ends_with_3(command, api):
    api.verdict = {**ACCEPTED, "accepted": False, "checks": [REFUSED_CHECK]}

    shown = command("preflight", "hf://org/model", code=3).stdout

    assert "3 of 3 models: a, b, c" in shown
    assert "tear one down" in shown
    assert command.json("preflight", "hf://org/model", code=3)["verdict"] == api.verdict


def test_a_source_that_cannot_be_read_is_refused_by_the_api(command, api, a_problem):
    api.failures = [a_problem(422, "source-gated", "hf://org/model asks for a token.")]

    assert command("preflight", "hf://org/model", code=1).stderr == "hf://org/model asks for a token.\n"


def upload(status: str, **fields: object) -> dict[str, object]:
    return {"folder": "demo", "status": status, "size_bytes": 5_000_000, "updated_at": "2026-11-20T11:58:00Z", **fields}


def test_uploads_say_what_became_of_each_folder(command, api):
    api.uploads = [
        upload("STARTED", deployment="demo", reason="started as generation 1"),
        upload("INCOMPLETE", reason="files are missing", missing=["model-00002-of-00002.safetensors"]),
        upload("HELD", held_by="demo"),
        upload("RESTING", look_at="2026-11-20T12:01:00Z"),
        upload("REFUSED", reason="the folder's name cannot name a deployment"),
    ]

    shown = command("uploads").stdout

    for expected in (
        "deployment demo: started as generation 1",
        "files are missing: model-00002-of-00002.safetensors",
        "held by demo: it starts when that is GONE",
        "will be looked at in 1 min",
        "the folder's name cannot name a deployment",
        "2 min ago",
    ):
        assert expected in shown
    assert command.json("uploads") == {"items": api.uploads, "bucket": "pilotlight-uploads", "prefix": "uploads/"}


def test_a_look_whose_time_has_come_is_told_as_any_moment_and_an_unknown_size_not_as_none(command, api):
    api.uploads = [{**upload("RESTING", look_at="2026-11-20T11:59:56Z"), "size_bytes": 0}]

    shown = command("uploads").stdout

    assert "is looked at any moment" in shown
    assert not [words for words in ("ago (2026-11-20 11:59", "0 bytes", "will be") if words in shown]
    assert command.json("uploads")["items"] == api.uploads


def test_no_uploads_say_where_to_upload_to(command):
    assert "s3://pilotlight-uploads/uploads/" in command("uploads").stdout


def test_health_says_who_answers(command, api):
    shown = command("health").stdout

    assert "http://127.0.0.1:8000 · ok · version 0.1.0" in shown
    assert "nothing here costs money" in shown
    assert command.json("health") == api.health
