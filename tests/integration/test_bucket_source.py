"""A bucket's checkpoint is read at one version of its content; whatever is replaced in between is noticed."""

import io

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from moto import mock_aws
from pilotlight.adapters.bucket_source import BucketSource
from pilotlight.adapters.sources import Sources
from pilotlight.domain.errors import (
    BodyCutShort,
    InvalidInput,
    SourceChanged,
    SourceGated,
    SourceNotFound,
    SourceRefused,
    Throttled,
    Unavailable,
)
from pilotlight.domain.source import Source, SourceFile, SourceKind
from pilotlight.domain.upload import version_of

BUCKET = "some-weights"
PREFIX = "models/llama/"
SOURCE = Source.parse(f"s3://{BUCKET}/{PREFIX}")
SHARD = bytes(range(256)) * 5000


@pytest.fixture
def s3(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1", config=Config(retries={"total_max_attempts": 1}))
        client.create_bucket(Bucket=BUCKET)
        yield client


def put(s3, **files):
    for path, content in files.items():
        s3.put_object(Bucket=BUCKET, Key=PREFIX + path, Body=content)


@pytest.fixture
def folder(s3):
    put(s3, **{"config.json": b"{}", "deep/x.safetensors": SHARD, "empty/": b""})
    s3.put_object(Bucket=BUCKET, Key=PREFIX, Body=b"")
    s3.put_object(Bucket=BUCKET, Key="models/llama-other/config.json", Body=b"{}")
    return BucketSource(s3)


def test_the_files_below_the_prefix_are_listed_without_folders_and_pinned_by_their_content(folder):
    listing = folder.resolve(SOURCE)

    assert {file.path: file.size_bytes for file in listing.files} == {
        "config.json": 2,
        "deep/x.safetensors": len(SHARD),
    }
    assert listing.revision == version_of(listing.files)
    assert folder.resolve(SOURCE) == listing


def test_a_whole_bucket_is_a_source_too(s3, folder):
    listing = folder.resolve(Source.parse(f"s3://{BUCKET}/"))

    assert "models/llama-other/config.json" in {file.path for file in listing.files}


def test_a_listing_of_several_pages_comes_whole(s3):
    put(s3, **{f"{number}.json": b"{}" for number in range(1003)})

    assert len(BucketSource(s3).resolve(SOURCE).files) == 1003


def test_a_bucket_of_too_many_files_is_refused(s3, monkeypatch, folder):
    monkeypatch.setattr("pilotlight.adapters.bucket_source.MOST_FILES", 1)

    with pytest.raises(SourceRefused, match="Name the folder of one checkpoint"):
        folder.resolve(SOURCE)


@pytest.mark.parametrize(("offset", "size_bytes"), [(0, len(SHARD)), (0, 1), (1_048_576, 1000), (5, 0)])
def test_a_range_comes_byte_for_byte(folder, offset, size_bytes):
    listing = folder.resolve(SOURCE)

    got = folder.stream(listing.source, listing.file("deep/x.safetensors"), offset=offset, size_bytes=size_bytes)

    assert b"".join(got) == SHARD[offset:][:size_bytes]


def test_a_small_file_is_read_also_by_a_reader_that_never_saw_the_listing(s3, folder):
    pinned = folder.resolve(SOURCE).source

    assert folder.read(pinned, "config.json", limit_bytes=2) == b"{}"
    assert BucketSource(s3).read(pinned, "config.json", limit_bytes=2) == b"{}"


def test_what_is_too_large_or_not_there_is_said(folder):
    pinned = folder.resolve(SOURCE).source

    with pytest.raises(SourceRefused, match="larger than the 1 bytes"):
        folder.read(pinned, "config.json", limit_bytes=1)
    with pytest.raises(SourceNotFound, match=r"no file nothing\.json"):
        folder.read(pinned, "nothing.json", limit_bytes=1)


def test_a_file_replaced_since_it_was_listed_has_changed(s3, folder):
    listing = folder.resolve(SOURCE)
    put(s3, **{"config.json": b"{ }"})

    with pytest.raises(SourceChanged):
        folder.read(listing.source, "config.json", limit_bytes=10)
    with pytest.raises(SourceChanged):
        list(folder.stream(listing.source, listing.file("config.json"), offset=0, size_bytes=1))
    with pytest.raises(SourceChanged, match="has changed: it is at"):
        folder.resolve(listing.source)
    with pytest.raises(SourceChanged):
        BucketSource(s3).read(listing.source, "deep/x.safetensors", limit_bytes=1 << 30)


def test_a_file_removed_since_it_was_listed_is_gone(s3, folder):
    listing = folder.resolve(SOURCE)
    s3.delete_object(Bucket=BUCKET, Key=PREFIX + "config.json")

    with pytest.raises(SourceNotFound, match="a file of it is gone"):
        folder.read(listing.source, "config.json", limit_bytes=10)


def test_the_same_revision_can_be_asked_for_while_the_content_stays(folder):
    pinned = folder.resolve(SOURCE)

    assert folder.resolve(pinned.source) == pinned


def test_a_bucket_or_prefix_that_is_not_there_is_said(s3, folder):
    with pytest.raises(SourceNotFound, match="nothing below"):
        folder.resolve(Source.parse(f"s3://{BUCKET}/nothing/"))
    with pytest.raises(SourceNotFound, match="no s3://not-there/"):
        folder.resolve(Source.parse("s3://not-there/"))


@pytest.mark.parametrize(
    ("code", "status", "error", "words"),
    [
        ("AccessDenied", 403, SourceGated, "s3:ListBucket"),
        ("SlowDown", 503, Throttled, "slow down"),
        ("InternalError", 500, Unavailable, "InternalError"),
        ("PermanentRedirect", 301, SourceRefused, "PermanentRedirect"),
        ("InvalidObjectState", 403, SourceRefused, "Glacier"),
    ],
)
def test_every_refusal_of_s3_has_its_error(s3, code, status, error, words):
    with Stubber(s3) as stub:
        stub.add_client_error("list_objects_v2", code, http_status_code=status)

        with pytest.raises(error, match=words) as caught:
            BucketSource(s3).resolve(SOURCE)

    assert isinstance(caught.value.__cause__, ClientError)


class Body(io.RawIOBase):
    """A body that breaks or ends early."""

    def __init__(self, content, error=None):
        self.content, self.error = [content], error

    def read(self, _=-1):
        if self.content:
            return self.content.pop()
        if self.error:
            raise self.error
        return b""


class OneAnswer:
    """A client that gives one object, or does not answer."""

    def __init__(self, answer):
        self.answer = answer

    def get_object(self, **_):
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"Body": self.answer}


def streamed(answer):
    file = SourceFile(path="x", size_bytes=10, etag="abc")
    return b"".join(BucketSource(OneAnswer(answer)).stream(SOURCE.at("r"), file, offset=0, size_bytes=10))


def test_a_body_that_ends_or_breaks_early_is_cut_short():
    with pytest.raises(BodyCutShort, match="4 of 10 bytes"):
        streamed(StreamingBody(Body(b"1234"), None))
    with pytest.raises(BodyCutShort, match="IncompleteReadError"):
        streamed(StreamingBody(Body(b"1234"), 10))
    with pytest.raises(BodyCutShort, match="ReadTimeoutError"):
        streamed(StreamingBody(Body(b"1234", ReadTimeoutError(endpoint_url="https://s3")), 10))


def test_a_body_longer_than_the_range_is_cut():
    assert streamed(StreamingBody(Body(b"0123456789more"), None)) == b"0123456789"


def test_an_endpoint_that_does_not_answer_is_unavailable():
    with pytest.raises(Unavailable, match="EndpointConnectionError"):
        streamed(EndpointConnectionError(endpoint_url="https://s3"))


def test_each_kind_of_source_goes_to_its_reader(folder):
    sources = Sources({SourceKind.BUCKET: folder})
    listing = sources.resolve(SOURCE)

    assert sources.read(listing.source, "config.json", limit_bytes=2) == b"{}"
    assert b"".join(sources.stream(listing.source, listing.file("config.json"), offset=0, size_bytes=1)) == b"{"
    with pytest.raises(InvalidInput, match="hf://"):
        sources.resolve(Source.parse("hf://acme/model"))


@pytest.mark.parametrize("prefix", ["", "invocations/", "artifacts/a1/weights/"])
def test_our_own_bucket_of_artifacts_is_no_source(s3, prefix):
    put(s3, **{"config.json": b"{}"})
    reader = BucketSource(s3, artifact_bucket=BUCKET)
    source = Source.parse(f"s3://{BUCKET}/{prefix}")

    with pytest.raises(SourceRefused, match="Pilotlight's own"):
        reader.resolve(source)
    with pytest.raises(SourceRefused, match="Pilotlight's own"):
        list(reader.stream(source.at("a" * 40), SourceFile(path="x", size_bytes=5, etag="e"), offset=0, size_bytes=5))


@pytest.mark.parametrize("prefix", ["", "uploads/", "uploads//", "other/", "uploads/llama/deeper/", "Uploads/llama/"])
def test_of_the_upload_bucket_only_a_folder_of_uploads_is_a_source(s3, prefix):
    s3.put_object(Bucket=BUCKET, Key="uploads/llama/config.json", Body=b"{}")
    reader = BucketSource(s3, upload_bucket=BUCKET)

    assert reader.resolve(Source.parse(f"s3://{BUCKET}/uploads/llama/")).files
    with pytest.raises(SourceRefused, match="only an uploaded folder"):
        reader.resolve(Source.parse(f"s3://{BUCKET}/{prefix}"))


@pytest.mark.parametrize("name", ["../config.json", "a//b", "a\\b", "a/./b", "%2e%2e/x", "a\u202eb", "a\u200bb"])
def test_a_folder_with_a_name_that_deceives_is_refused_whole(s3, name):
    put(s3, **{"config.json": b"{}", name: b"x"})

    with pytest.raises(SourceRefused, match="Nothing of it is staged"):
        BucketSource(s3).resolve(SOURCE)
