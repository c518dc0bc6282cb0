import pytest
from pilotlight_client.errors import NotACheckpoint, WrongInput
from pilotlight_client.uploading import read_folder, require_name


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


def test_a_file_that_was_written_since_the_folder_was_read_is_noticed(checkpoint):
    config, vocab = read_folder(checkpoint).files
    (checkpoint / "sub" / "vocab.txt").write_text("a\nc\nd\n")

    assert (config.has_changed(), vocab.has_changed()) == (False, True)
    (checkpoint / "config.json").unlink()
    assert config.has_changed()


@pytest.mark.parametrize("name", ["Demo", "a_b", "-a", "a--b", "a" * 33, "a\n", "../x"])
def test_a_name_that_no_deployment_may_have_is_refused(name):
    with pytest.raises(WrongInput, match="cannot name a deployment"):
        require_name(name)
