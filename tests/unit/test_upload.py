"""A folder's version is its content, whatever the order of events; a folder's name is a deployment's."""

from datetime import timedelta

import pytest
from pilotlight.domain.source import SourceFile
from pilotlight.domain.upload import folder_of, folder_problem, version_of

from tests.factories import NOON, an_upload

FILES = (
    SourceFile(path="config.json", size_bytes=10, etag="e1"),
    SourceFile(path="model.safetensors", size_bytes=2000, etag="e2"),
)
MARK = SourceFile(path="_COMPLETE", size_bytes=0, etag="e0")


@pytest.mark.parametrize(
    ("key", "folder"),
    [
        ("uploads/llama/config.json", "llama"),
        ("uploads/llama/deep/er/x", "llama"),
        ("uploads/Llama 8B/config.json", "Llama 8B"),
        ("uploads/llama", None),
        ("uploads/llama/", None),
        ("uploads/config.json", None),
        ("uploads//config.json", None),
        ("artifacts/llama/config.json", None),
        ("llama/config.json", None),
    ],
)
def test_a_key_belongs_to_the_folder_below_uploads(key, folder):
    assert folder_of(key) == folder


@pytest.mark.parametrize("folder", ["Llama", "llama_8b", "a" * 33, "8b", "llama "])
def test_a_folder_that_cannot_name_a_deployment_says_what_would(folder):
    assert "lower-case words joined by single hyphens" in (folder_problem(folder) or "")


def test_a_folder_that_can_name_a_deployment_has_no_problem():
    assert folder_problem("llama-8b") is None


def test_a_version_is_the_content_in_any_order_and_without_the_mark():
    assert version_of(FILES) == version_of(tuple(reversed(FILES))) == version_of((*FILES, MARK))


@pytest.mark.parametrize(
    "changed",
    [
        FILES[:1],
        (FILES[0], FILES[1].changed(etag="other")),
        (FILES[0], FILES[1].changed(size_bytes=2001)),
        (FILES[0], FILES[1].changed(path="model2.safetensors")),
    ],
)
def test_any_change_of_names_sizes_or_contents_is_another_version(changed):
    assert version_of(changed) != version_of(FILES)


def test_a_folder_rests_when_it_did_not_change_since_the_last_look_or_is_marked_complete():
    version = version_of(FILES)

    assert an_upload(seen=version).rests(version, FILES)
    assert an_upload().rests(version, (*FILES, MARK))
    assert not an_upload().rests(version, FILES)
    assert not an_upload(seen="another").rests(version, FILES)


def test_a_mark_older_than_any_other_file_is_of_an_earlier_upload():
    earlier = NOON - timedelta(seconds=1)
    files = (FILES[0].changed(modified_at=earlier), FILES[1].changed(modified_at=NOON))
    version = version_of(files)

    assert an_upload().rests(version, (*files, MARK.changed(modified_at=NOON)))
    assert not an_upload().rests(version, (*files, MARK.changed(modified_at=earlier)))
    assert an_upload(seen=version).rests(version, (*files, MARK.changed(modified_at=earlier)))
