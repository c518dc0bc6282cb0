"""A source is read as a user writes it, and a wrong one is refused with the forms that exist."""

import re

import pytest
from pilotlight.contracts.requests import SourceText
from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.source import Source, SourceKind
from pydantic import TypeAdapter

DIGEST = "0123456789abcdef" * 4  # pragma: allowlist secret (digits in order)


WRITTEN = [
    ("hf://org/name", SourceKind.HUB, "org/name", "main"),
    ("hf://org/name@v1.0", SourceKind.HUB, "org/name", "v1.0"),
    ("hf://org/name@refs/pr/7", SourceKind.HUB, "org/name", "refs/pr/7"),
    ("hf://Qwen/Qwen2.5-7B_x", SourceKind.HUB, "Qwen/Qwen2.5-7B_x", "main"),
    ("ms://org/name", SourceKind.MODELSCOPE, "org/name", "master"),
    ("ms://Qwen/Qwen2.5-7B_x@v1.0", SourceKind.MODELSCOPE, "Qwen/Qwen2.5-7B_x", "v1.0"),
    ("https://host.org/list.json", SourceKind.FILE_LIST, "host.org/list.json", None),
    ("https://host.org:8443/a/b%20c/l.json", SourceKind.FILE_LIST, "host.org:8443/a/b%20c/l.json", None),
    ("https://host.org/a/SHA256SUMS", SourceKind.FILE_LIST, "host.org/a/SHA256SUMS", None),
    (f"https://host.org/l.json@{DIGEST}", SourceKind.FILE_LIST, "host.org/l.json", DIGEST),
    ("s3://weights", SourceKind.BUCKET, "weights/", None),
    ("s3://weights/", SourceKind.BUCKET, "weights/", None),
    ("s3://weights/a/b/", SourceKind.BUCKET, "weights/a/b/", None),
]


@pytest.mark.parametrize(
    ("text", "kind", "location", "revision"),
    WRITTEN,
)
def test_a_source_is_read_as_it_is_written(text, kind, location, revision):
    source = Source.parse(text)

    assert (source.kind, source.location, source.revision) == (kind, location, revision)


@pytest.mark.parametrize("text", [text for text, *_ in WRITTEN])
def test_the_schema_of_the_api_takes_what_is_read(text):
    pattern = TypeAdapter(SourceText).json_schema()["pattern"]

    assert re.search(pattern, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hf://name",
        "hf://org/name/more",
        "hf://org/../name",
        "hf://org/name@",
        "hf://org/name\n",
        "s3://weights\n",
        "hf://org/name@a..b",
        "hf://örg/name",
        "s3://",
        "s3://UPPER/x/",
        "s3://a b/",
        "https://host.org/list.json#files",
        "https://host.org/a/../list.json",
        "https://host.org/list.json@main",
        "https://host.org/a b/list.json",
        "https:///list.json",
        "https://host.org/.json",
        "https://host.org/MYSHA256SUMS",
        "https://[::1]/list.json",
        "https://host.org/list.json\n",
        "ms://name",
        "ms://org/../name",
        "ms://org/name@",
    ],
)
def test_anything_else_is_refused_with_the_forms_that_exist(text):
    with pytest.raises(InvalidInput, match=r"hf://org/name@revision.*s3://bucket/prefix/") as caught:
        Source.parse(text)

    assert caught.value.detail["field"] == "source"


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("org/name", "Did you mean 'hf://org/name'?"),
        ("org/name@v2", "Did you mean 'hf://org/name@v2'?"),
        ("https://huggingface.co/org/name", "Did you mean 'hf://org/name'?"),
        ("https://huggingface.co/org/name/tree/v2?x=1", "Did you mean 'hf://org/name@v2'?"),
        ("https://www.modelscope.cn/models/org/name", "Did you mean 'ms://org/name'?"),
        ("arn:aws:s3:::weights/llama", "Did you mean 's3://weights/llama/'?"),
        ("HF://org/name", "Did you mean 'hf://org/name'?"),
        ("/models/llama", "pilotlight upload FOLDER"),
        ("./llama", "pilotlight upload FOLDER"),
        ("~/llama", "pilotlight upload FOLDER"),
        ("http://host.org/list.json", "by https alone"),
        ("https://host.org/list.json?signature=1", "Leave user and query out"),
        ("https://user:secret@host.org/list.json", "Leave user and query out"),  # pragma: allowlist secret
    ],
)
def test_a_source_that_is_near_one_is_refused_with_what_was_meant(text, advice):
    with pytest.raises(InvalidInput, match=re.escape(advice)) as caught:
        Source.parse(text)

    assert "hf://org/name@revision" in caught.value.detail["rule"]


def test_a_prefix_without_its_slash_is_refused_with_the_folder_that_was_meant():
    with pytest.raises(InvalidInput, match="'s3://weights/llama/'"):
        Source.parse("s3://weights/llama")


def test_a_bucket_source_tells_its_bucket_and_its_prefix():
    source = Source.parse("s3://weights/a/b/")

    assert (source.bucket, source.prefix) == ("weights", "a/b/")


def test_a_pinned_source_is_written_with_its_revision():
    assert str(Source.parse("hf://org/name").at("c0ffee")) == "hf://org/name@c0ffee"
    assert str(Source.parse("ms://org/name").at("c0ffee")) == "ms://org/name@c0ffee"
    assert str(Source.parse("s3://weights/a/").at("c0ffee")) == "s3://weights/a/@c0ffee"
    assert str(Source.parse("https://host.org/l.json").at(DIGEST)) == f"https://host.org/l.json@{DIGEST}"
