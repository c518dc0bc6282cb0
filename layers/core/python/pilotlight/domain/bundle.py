"""model.tar.gz: the small files that a container gets beside its weights, packed so that equal content is equal bytes.

A revision is known by the digest of what it runs, and is packed again wherever it is made again: on a laptop, or in a
Lambda of a later Python. So nothing of the archive tells when, by whom or with which zlib it was made: times and owners
are zero, names are sorted, and gzip holds its blocks as they are. (Two builds of zlib compress the same bytes to
different ones, and there are a few kilobytes of them.)

Everything lies at the root, where DJL Serving looks for serving.properties, model.py and requirements.txt.
Source: DJL Serving documentation, "Modes: packaging"; SageMaker unpacks a Gzip S3Object into /opt/ml/model (botocore's
service model, S3ModelDataSource).
"""

import hashlib
import io
import re
import struct
import tarfile
import zlib
from collections.abc import Mapping

from pilotlight.domain.errors import InvalidInput

PROPERTIES_FILE = "serving.properties"
HANDLER_FILE = "model.py"
REQUIREMENTS_FILE = "requirements.txt"

LARGEST_FILES_BYTES = 64 * 1024  # of what a user sends: it is kept in the record of the deployment and of each revision
LARGEST_ARCHIVE_BYTES = 1024 * 1024
MOST_FILES = 32
NAME_PATTERN = r"^([A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*\.(py|txt|json)|serving\.properties)$"
LONGEST_NAME = 96  # a plain tar header holds 100 bytes

_NAME = re.compile(NAME_PATTERN)
_MEANT = {HANDLER_FILE: HANDLER_FILE, REQUIREMENTS_FILE: REQUIREMENTS_FILE, "requirement.txt": REQUIREMENTS_FILE}
_GZIP_HEADER = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"  # deflate, no flags, no time, no system
_STORED_MOST = 0xFFFF


def problem_with_name(name: str) -> str | None:
    """Return why a file of that name cannot lie at the root of a bundle, or None."""
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        return (
            f"{name[:60]!r} is no name of a file here: write letters, digits and . _ - only, with .py, .txt or .json "
            f"at the end, in no folder, at most {LONGEST_NAME} characters"
        )
    meant = _MEANT.get(name.lower())
    return f"{name!r} would be overlooked: write {meant!r}" if meant and name != meant else None


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return the model.tar.gz of these files, by name; the same files always give the same bytes.

    Raises: InvalidInput for a name that is not one of a file at the root, or for more than a bundle may hold.
    """
    for name in files:
        if problem := problem_with_name(name):
            raise InvalidInput(f"The bundle cannot be packed: {problem}.", field="serving.files", rule=problem)
    if (size := sum(map(len, files.values()))) > LARGEST_ARCHIVE_BYTES:
        rule = f"at most {LARGEST_ARCHIVE_BYTES:,} bytes: weights are staged beside the bundle"
        raise InvalidInput(f"The bundle would hold {size:,} bytes; {rule}.", field="serving.files", rule=rule)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)  # mode 0644, and nobody's: its time and owners are zero
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return _gzipped(archive.getvalue())


def digest(content: bytes) -> str:
    """Return what tells one content from another: its SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _gzipped(content: bytes) -> bytes:
    """Return a gzip file of blocks that are stored as they are. Source: RFC 1951, 3.2.4, and RFC 1952, 2.3."""
    starts = range(0, len(content), _STORED_MOST)
    blocks = [content[start : start + _STORED_MOST] for start in starts]
    stored = b"".join(
        struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block
        for block, last in zip(blocks, [*[0] * (len(blocks) - 1), 1], strict=True)
    )
    return _GZIP_HEADER + stored + struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)


def bundle_folder(name: str, generation: int) -> str:
    """Return the prefix of the bundles of one generation of a deployment."""
    return f"bundles/{name}-g{generation}/"


def bundle_key(name: str, generation: int, revision: int) -> str:
    """Return the key of the bundle of one revision."""
    return f"{bundle_folder(name, generation)}v{revision}/model.tar.gz"
