"""A folder on this machine into the upload bucket: what is there already stays, the mark of completeness comes last."""

# ruff: noqa: PLC0415 (AWS's libraries are imported on first use, so that other commands start fast)

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pilotlight_client.errors import NotACheckpoint, NotReachable, UploadFailed, WrongInput
from pilotlight_client.signing import is_loopback
from pilotlight_client.views import HealthView

ROOT = "uploads"
COMPLETE_MARK = "_COMPLETE"
PART_BYTES = 64 * 1024 * 1024  # also what a multipart ETag is computed over: another size would never match
THREADS = 8
READ_BYTES = 1024 * 1024
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
NAME_MAX = 32

OnBytes = Callable[[int], None]


@dataclass(frozen=True)
class LocalFile:
    """One file to upload; `path` is relative to its folder, with slashes."""

    path: str
    location: Path
    size_bytes: int

    def etag(self) -> str:
        """Return the ETag that S3 gives to this content when it is sent by us.

        It is the MD5 of the content, or of its parts' MD5s where it goes in parts.
        Source: Amazon S3 user guide, "Checking object integrity", ETags of multipart uploads.
        """
        digests = list(self._digests())
        if self.size_bytes < PART_BYTES:
            return digests[0].hex()
        return f"{_md5(b''.join(digests)).hexdigest()}-{len(digests)}"

    def _digests(self) -> Iterator[bytes]:
        with self.location.open("rb") as file:
            for _ in range(max(1, -(-self.size_bytes // PART_BYTES))):
                digest, left = _md5(), PART_BYTES
                while left and (chunk := file.read(min(READ_BYTES, left))):
                    digest.update(chunk)
                    left -= len(chunk)
                yield digest.digest()


@dataclass(frozen=True)
class Folder:
    """What of a folder is uploaded, and what is left out and why."""

    files: tuple[LocalFile, ...]
    left_out: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Stored:
    """An object that the bucket holds."""

    size_bytes: int
    etag: str


@dataclass(frozen=True)
class Plan:
    """What is sent, what is there already, and what the bucket holds beside it."""

    send: tuple[LocalFile, ...]
    there: tuple[LocalFile, ...]
    strangers: tuple[str, ...]

    @property
    def bytes_to_send(self) -> int:
        """How many bytes are sent."""
        return sum(file.size_bytes for file in self.send)


def require_name(name: str) -> None:
    """Let only a name pass that a deployment may have.

    Raises: WrongInput, saying the rule.
    """
    if len(name) > NAME_MAX or not _NAME.fullmatch(name):
        raise WrongInput(
            f"{name!r} cannot name a deployment: write lower-case words with hyphens, at most {NAME_MAX} characters."
        )


def read_folder(folder: Path) -> Folder:
    """Return the files of a folder. Dotfiles, and links that lead out of it, are left out.

    Raises: NotACheckpoint when nothing remains.
    """
    root = folder.resolve()
    files: list[LocalFile] = []
    left_out: list[tuple[str, str]] = []
    for location in sorted(_walk(folder)):
        path = location.relative_to(folder).as_posix()
        if reason := _reason_to_leave(location, path, root):
            left_out.append((path, reason))
        elif location.is_file():
            files.append(LocalFile(path, location, location.stat().st_size))
    if not files:
        told = "; ".join(f"{path}: {reason}" for path, reason in left_out[:3])
        raise NotACheckpoint(f"{folder} holds nothing to upload" + (f" ({told})" if told else ""))
    return Folder(tuple(files), tuple(left_out))


def plan_upload(folder: Folder, stored: dict[str, Stored]) -> Plan:
    """Return what to send: whatever the bucket does not hold with the same size and content."""
    same = {file.path for file in folder.files if _is_there(file, stored.get(file.path))}
    there = tuple(file for file in folder.files if file.path in same)
    send = tuple(file for file in folder.files if file.path not in same)
    strangers = set(stored) - {file.path for file in folder.files} - {COMPLETE_MARK}
    return Plan(send, there, tuple(sorted(strangers)))


class UploadBucket:
    """The part of the upload bucket that belongs to one name."""

    def __init__(self, s3: Any, bucket: str, name: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = f"{ROOT}/{name}/"

    @classmethod
    def of(cls, health: HealthView, name: str, *, profile: str | None = None) -> Self:
        """Return the bucket that a Pilotlight names in its health, with a client for where its S3 is.

        Raises: UploadFailed when boto3 is not installed.
        """
        try:
            import boto3
            from botocore.config import Config
        except ImportError as exc:
            raise UploadFailed("Uploading needs boto3: pip install boto3.") from exc

        endpoint = health.get("s3_endpoint")
        options: dict[str, Any] = {"region_name": health["region"]}
        config = Config(max_pool_connections=THREADS + 2, retries={"mode": "standard", "max_attempts": 5})
        if endpoint and is_loopback(_host_of(endpoint)):
            # A simulated cloud gets neither the user's credentials nor a proxy before it.
            options |= {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
            config = config.merge(Config(proxies={}, s3={"addressing_style": "path"}))
        elif profile:
            return cls(
                boto3.Session(profile_name=profile).client("s3", endpoint_url=endpoint, config=config, **options),
                health["upload_bucket"],
                name,
            )
        return cls(boto3.client("s3", endpoint_url=endpoint, config=config, **options), health["upload_bucket"], name)

    @property
    def address(self) -> str:
        """The folder's address."""
        return f"s3://{self._bucket}/{self._prefix}"

    def stored(self) -> dict[str, Stored]:
        """Return what the bucket holds under this name, by path."""
        with _translated(self.address):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            return {
                item["Key"].removeprefix(self._prefix): Stored(item["Size"], item["ETag"].strip('"'))
                for page in pages
                for item in page.get("Contents", ())
            }

    def send(self, plan: Plan, on_bytes: OnBytes) -> None:
        """Send what the plan says, several parts at once, and mark the folder complete.

        An older mark is taken away first: a half-sent folder must not look complete.

        Raises: UploadFailed, NotReachable.
        """
        with _translated(self.address):
            if plan.send:
                self._s3.delete_object(Bucket=self._bucket, Key=self._prefix + COMPLETE_MARK)
                self._transfer(plan, on_bytes)
            self._s3.put_object(Bucket=self._bucket, Key=self._prefix + COMPLETE_MARK, Body=b"")

    def _transfer(self, plan: Plan, on_bytes: OnBytes) -> None:
        from boto3.s3.transfer import TransferConfig, create_transfer_manager
        from s3transfer.subscribers import BaseSubscriber

        class Told(BaseSubscriber):
            def on_progress(self, future: Any, bytes_transferred: int, **_: Any) -> None:  # noqa: ARG002
                on_bytes(bytes_transferred)

        config = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=THREADS)
        with create_transfer_manager(self._s3, config) as manager:
            sent = [
                manager.upload(str(file.location), self._bucket, self._prefix + file.path, subscribers=[Told()])
                for file in plan.send
            ]
            for future in sent:
                future.result()


@contextmanager
def _translated(address: str) -> Iterator[None]:
    """Turn what S3's client raises into our own errors."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
    from botocore.exceptions import ConnectionError as NotConnected

    try:
        yield
    except NoCredentialsError as exc:
        raise UploadFailed("No AWS credentials were found to upload with: log in, or set AWS_PROFILE.") from exc
    except (NotConnected, HTTPClientError) as exc:
        raise NotReachable(f"{address} cannot be reached: {exc}") from exc
    except ClientError as exc:
        error = exc.response.get("Error", {})
        raise UploadFailed(f"S3 refused {address}: {error.get('Code')}: {error.get('Message')}") from exc
    except (BotoCoreError, Boto3Error, OSError) as exc:
        raise UploadFailed(f"The upload to {address} broke off: {exc}. Begin it again: what is there stays.") from exc


def _walk(folder: Path) -> Iterator[Path]:
    """Yield everything under a folder but what lies in a dot-folder or behind a link to a folder."""
    for entry in folder.iterdir():
        yield entry
        if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
            yield from _walk(entry)


def _reason_to_leave(location: Path, path: str, root: Path) -> str | None:
    if location.name.startswith("."):
        return "hidden"
    if path == COMPLETE_MARK:
        return "a mark that the upload writes itself"
    if location.is_symlink():
        if not location.exists():
            return "a link to nothing"
        if not location.resolve().is_relative_to(root):
            return "a link that leads out of the folder"
        if location.is_dir():
            return "a link to a folder"
    return None


def _is_there(file: LocalFile, stored: Stored | None) -> bool:
    """Say whether the bucket holds this content. The file is read for that only where the sizes are the same."""
    return stored is not None and stored.size_bytes == file.size_bytes and stored.etag == file.etag()


def _md5(content: bytes = b"") -> "hashlib._Hash":
    return hashlib.md5(content, usedforsecurity=False)


def _host_of(endpoint: str) -> str:
    return urlsplit(endpoint).hostname or ""
