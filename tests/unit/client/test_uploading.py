import pytest
from pilotlight_client.errors import NotACheckpoint, WrongInput
from pilotlight_client.uploading import Stored, plan_upload, read_folder, require_name


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "checkpoint"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "sub" / "vocab.txt").write_text("a\nb\n")
    return folder


def paths(found):
    return [file.path for file in found.files]


def test_hidden_files_and_folders_are_left_out(checkpoint):
    (checkpoint / ".env").write_text("SECRET=1")
    (checkpoint / ".git").mkdir()
    (checkpoint / ".git" / "config").write_text("x")

    found = read_folder(checkpoint)

    assert paths(found) == ["config.json", "sub/vocab.txt"]
    assert dict(found.left_out) == {".env": "hidden", ".git": "hidden"}


def test_links_that_lead_out_of_the_folder_are_left_out_and_named(checkpoint, tmp_path):
    (tmp_path / "secret").write_text("x")
    (checkpoint / "weights").symlink_to(tmp_path / "secret")
    (checkpoint / "up").symlink_to(tmp_path)
    (checkpoint / "dangling").symlink_to(checkpoint / "nowhere")
    (checkpoint / "alias.json").symlink_to(checkpoint / "config.json")

    found = read_folder(checkpoint)

    assert paths(found) == ["alias.json", "config.json", "sub/vocab.txt"]
    assert dict(found.left_out) == {
        "dangling": "a link to nothing",
        "up": "a link that leads out of the folder",
        "weights": "a link that leads out of the folder",
    }


def test_a_mark_of_completeness_in_the_folder_is_not_sent_before_the_rest(checkpoint):
    (checkpoint / "_COMPLETE").write_text("")

    assert "_COMPLETE" not in paths(read_folder(checkpoint))


def test_a_folder_without_anything_to_upload_is_refused(tmp_path):
    with pytest.raises(NotACheckpoint, match="nothing to upload"):
        read_folder(tmp_path)


def test_only_what_the_bucket_holds_with_the_same_content_is_skipped(checkpoint):
    found = read_folder(checkpoint)
    config, vocab = found.files
    stored = {
        "config.json": Stored(config.size_bytes, config.etag()),
        "sub/vocab.txt": Stored(vocab.size_bytes, "of-another-content"),
        "old-shard.safetensors": Stored(9, "x"),
        "_COMPLETE": Stored(0, "y"),
    }

    plan = plan_upload(found, stored)

    assert plan.there == (config,)
    assert plan.send == (vocab,)
    assert plan.strangers == ("old-shard.safetensors",)
    assert plan.bytes_to_send == 4


def test_the_etag_of_a_small_file_is_its_md5(checkpoint):
    etag = "99914b932bd37a50b983c5e7c90ae93b"  # pragma: allowlist secret (a digest)
    assert read_folder(checkpoint).files[0].etag() == etag


@pytest.mark.parametrize("name", ["Demo", "a_b", "-a", "a--b", "a" * 33, "a\n", "../x"])
def test_a_name_that_no_deployment_may_have_is_refused(name):
    with pytest.raises(WrongInput, match="cannot name a deployment"):
        require_name(name)
