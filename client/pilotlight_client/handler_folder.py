"""A folder with a handler: the small text files that a container gets beside its weights."""

from pathlib import Path

from pilotlight_client.errors import WrongInput

HANDLER_FILE = "model.py"
REQUIREMENTS_FILE = "requirements.txt"
SUFFIXES = (".py", ".txt", ".json")
LARGEST_FILES_BYTES = 64 * 1024


def read_handler(folder: Path) -> dict[str, str]:
    """Return the handler's files by name: every .py, .txt and .json at the folder's root.

    A serving.properties there is left alone, because ours is written from the `serving` section.

    Raises: WrongInput where model.py is missing, where a file is no text, or where they are too large together.
    """
    files: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in SUFFIXES and not path.name.startswith("."):
            files[path.name] = _text(path)
    if HANDLER_FILE not in files:
        raise WrongInput(f"{folder} holds no {HANDLER_FILE}: that is the handler, with its function handle(inputs).")
    size_bytes = sum(len(text.encode()) for text in files.values())
    if size_bytes > LARGEST_FILES_BYTES:
        raise WrongInput(
            f"The files of {folder} hold {size_bytes:,} bytes together, and may hold {LARGEST_FILES_BYTES:,}: weights "
            "and data belong to the source, which is mounted beside them."
        )
    return files


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILES_BYTES:
            raise WrongInput(f"{path} holds {path.stat().st_size:,} bytes, and may hold {LARGEST_FILES_BYTES:,}.")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise WrongInput(f"{path} cannot be read as text: {exc}.") from exc
