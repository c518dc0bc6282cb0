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


SETTLE = timedelta(seconds=60)


def seen(files, *, again=None, after=SETTLE):
    """Return whether files rest that were seen once, and then again after some time."""
    again = files if again is None else again
    return an_upload().looked_at(files, NOON).looked_at(again, NOON + after).rests(again, SETTLE, NOON + after)


def test_a_folder_rests_when_it_did_not_change_for_long_enough_or_is_marked_complete():
    assert seen(FILES)
    assert seen((*FILES, MARK), after=timedelta(0))
    assert not seen(FILES, after=timedelta(seconds=59))
    assert not seen(FILES[:1], again=FILES)


def test_content_that_is_just_being_written_again_does_not_rest():
    rewritten = (FILES[0].changed(modified_at=NOON + SETTLE), FILES[1])

    assert version_of(rewritten) == version_of(FILES)
    assert not seen(FILES, again=rewritten)
    assert seen(rewritten)


def test_a_mark_older_than_any_other_file_is_of_an_earlier_upload():
    earlier = NOON - timedelta(seconds=1)
    files = (FILES[0].changed(modified_at=earlier), FILES[1].changed(modified_at=NOON))
    stale = MARK.changed(modified_at=earlier)

    assert seen((*files, MARK.changed(modified_at=NOON)), after=timedelta(0))
    assert not seen((*files, stale), after=timedelta(0))
    assert seen((*files, stale))
