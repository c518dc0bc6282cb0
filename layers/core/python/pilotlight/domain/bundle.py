"""model.tar.gz: the small files that a container gets beside its weights, packed so that equal content is equal bytes.

A revision is known by the digest of what it runs, and is packed again wherever it is made again: on a laptop, or in a
Lambda of a later Python. `archive` sees to that. Weights that are packed come into the same archive: see `packing`.

Everything lies at the root, where DJL Serving looks for serving.properties, model.py and requirements.txt.
Source: DJL Serving documentation, "Modes: packaging"; SageMaker unpacks a Gzip S3Object into /opt/ml/model (botocore's
service model, S3ModelDataSource).
"""

import hashlib
import re
from collections.abc import Mapping

from pilotlight.domain.archive import Entry, packed
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
    return b"".join(packed(entries_of(files), lambda entry: (entry.content or b"",)))


def entries_of(files: Mapping[str, bytes]) -> list[Entry]:
    """Return these files, by name, as an archive takes them."""
    return [Entry(path=name, size_bytes=len(content), content=content) for name, content in files.items()]


def digest(content: bytes) -> str:
    """Return what tells one content from another: its SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def bundle_folder(name: str, generation: int) -> str:
    """Return the prefix of the bundles of one generation of a deployment."""
    return f"bundles/{name}-g{generation}/"


def bundle_key(name: str, generation: int, revision: int) -> str:
    """Return the key of the bundle of one revision."""
    return f"{bundle_folder(name, generation)}v{revision}/model.tar.gz"
