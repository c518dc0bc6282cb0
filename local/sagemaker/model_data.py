"""Model data as a container finds it: read from moto's S3 in the execution role's name, and mounted."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.s3.exceptions import MissingBucket
from moto.s3.models import s3_backends

from local.sagemaker.places import Place
from local.sagemaker.roles import may_list, may_read

ROOT = "/opt/ml/model"
CHANNELS = "/opt/ml/additional-model-data-sources"


class NoDataError(Exception):
    """Model data cannot be had; the message says where it should be."""


@dataclass(frozen=True)
class Files:
    """Files below a folder: their sizes, and a way to read one."""

    sizes: Mapping[str, int]
    read: Callable[[str], bytes]

    @property
    def size_bytes(self) -> int:
        """Give the bytes of all files."""
        return sum(self.sizes.values())

    def below(self, folder: str) -> Files:
        """Give what lies in a folder of it."""
        prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
        sizes = {name.removeprefix(prefix): size for name, size in self.sizes.items() if name.startswith(prefix)}
        return Files(sizes, lambda name: self.read(prefix + name))

    def text(self, name: str) -> str | None:
        """Give a file's text; None where there is no such file."""
        return self.read(name).decode(errors="replace") if name in self.sizes else None


def mounts_of(container: Mapping[str, Any], role_arn: str, place: Place) -> dict[str, Files]:
    """Give what a container finds, by the folder that it is mounted at. Raises: NoDataError."""
    mounts: dict[str, Files] = {}
    if url := container.get("ModelDataUrl"):
        mounts[ROOT] = _archive(url, role_arn, place)
    elif source := container.get("ModelDataSource"):
        mounts[ROOT] = _source(source["S3DataSource"], role_arn, place)
    for channel in container.get("AdditionalModelDataSources") or ():
        mounts[f"{CHANNELS}/{channel['ChannelName']}"] = _source(channel["S3DataSource"], role_arn, place)
    return mounts


def under(uri: str, role_arn: str, place: Place) -> Files:
    """Give what lies under a prefix. Raises: NoDataError where there is nothing or the role may not read it."""
    bucket, prefix = split(uri)
    if prefix and not prefix.endswith("/"):
        prefix += "/"
    if not may_list(role_arn, bucket, prefix):
        raise NoDataError(uri)
    keys = _listed(bucket, prefix, uri, place)
    if not keys or not all(may_read(role_arn, bucket, key.name) for key in keys):
        raise NoDataError(uri)
    held = {key.name.removeprefix(prefix): key for key in keys}
    return Files({name: int(key.size) for name, key in held.items()}, lambda name: bytes(held[name].value))


def object_at(uri: str, role_arn: str, place: Place) -> Any:
    """Give moto's object at an address. Raises: NoDataError."""
    bucket, key = split(uri)
    if not may_read(role_arn, bucket, key):
        raise NoDataError(uri)
    try:
        found = s3_backends[place.account]["aws"].get_object(bucket, key)
    except MissingBucket as exc:
        raise NoDataError(uri) from exc
    if found is None:
        raise NoDataError(uri)
    return found


def split(uri: str) -> tuple[str, str]:
    """Give bucket and key of an address."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


def _source(source: Mapping[str, Any], role_arn: str, place: Place) -> Files:
    uri = source["S3Uri"]
    if source["CompressionType"] == "Gzip":
        return _archive(uri, role_arn, place)
    if source["S3DataType"] == "S3Prefix":
        return under(uri, role_arn, place)
    key = object_at(uri, role_arn, place)
    return Files({uri.rpartition("/")[2]: int(key.size)}, lambda _: bytes(key.value))


def _archive(uri: str, role_arn: str, place: Place) -> Files:
    """Give the files of a tar.gz. One that is no archive cannot be had either."""
    content = bytes(object_at(uri, role_arn, place).value)
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            members = {member.name.removeprefix("./"): member for member in archive if member.isfile()}
    except (tarfile.TarError, OSError, EOFError) as exc:
        raise NoDataError(uri) from exc

    def read(name: str) -> bytes:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            file = archive.extractfile(members[name])
            return file.read() if file else b""

    return Files({name: member.size for name, member in members.items()}, read)


def _listed(bucket: str, prefix: str, uri: str, place: Place) -> Iterable[Any]:
    backend = s3_backends[place.account]["aws"]
    try:
        keys: list[Any] = backend.list_objects(backend.get_bucket(bucket), prefix or None, None, None, None)[0]
    except MissingBucket as exc:
        raise NoDataError(uri) from exc
    return [key for key in keys if not key.name.endswith("/")]
