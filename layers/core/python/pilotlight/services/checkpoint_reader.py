"""Looks into the files of a checkpoint before any of them is staged, and reads no more of each than that takes."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from pilotlight.domain.checkpoint import Checkpoint
from pilotlight.domain.errors import BodyCutShort, SourceChanged
from pilotlight.domain.file_contents import CHECK_LIMITS, content_problem
from pilotlight.domain.problems import Problem
from pilotlight.domain.safetensors import FIRST_READ_BYTES, Tensor, UnsoundError, header_end, read_header
from pilotlight.domain.source import Listing, SourceFile, joined
from pilotlight.domain.weight_headers import MOST_SHARDS, disagreements, unsound, with_parameters
from pilotlight.ports import ModelSource

READERS = 8  # headers at once: a model in 200 shards is judged within the API's time


class CheckpointReader:
    """Reads small files whole and of weights their headers."""

    def __init__(self, source: ModelSource) -> None:
        self._source = source

    def read(self, listing: Listing, path: str, limit_bytes: int) -> bytes:
        """Return a small file. Raises: SourceChanged when it has another size than was listed."""
        content = self._source.read(listing.source, path, limit_bytes=limit_bytes)
        file = listing.file(path)
        if file and len(content) != file.size_bytes:
            raise SourceChanged(
                f"{path} of {listing.source} has {len(content)} bytes; {file.size_bytes} were listed. Deploy it again."
            )
        return content

    def content_problems(self, listing: Listing) -> Iterator[Problem]:
        """Yield what is wrong with the files that would be staged and that no verdict reads."""
        for path, limit in CHECK_LIMITS.items():
            file = listing.file(path)
            if file is None:
                continue
            if file.size_bytes > limit:
                yield Problem.unreadable(path, f"it has {file.size_bytes} bytes, and no real one has more than {limit}")
            elif why := content_problem(path, self.read(listing, path, limit)):
                yield Problem.unreadable(path, why)

    def with_weights(self, listing: Listing, checkpoint: Checkpoint) -> Checkpoint:
        """Return the checkpoint with what the headers of its weights tell: what is wrong, or how many parameters.

        Nothing is read of weights that are refused already.
        """
        files = checkpoint.weights
        if not files or any(problem.subject == "weights" for problem in checkpoint.problems):
            return checkpoint
        if len(files) > MOST_SHARDS:
            why = f"it is one of {len(files)} shards, and no model has over {MOST_SHARDS}"
            return _with_problems(checkpoint, (unsound(files[0].path, why),))
        with ThreadPoolExecutor(min(READERS, len(files))) as readers:
            found = list(readers.map(lambda file: self._header(listing, file), files))
        problems = tuple(each for each in found if isinstance(each, Problem))
        if problems:
            return _with_problems(checkpoint, problems)
        headers = {file.path: header for file, header in zip(files, found, strict=True) if isinstance(header, Mapping)}
        if problems := disagreements(checkpoint.index, headers):
            return _with_problems(checkpoint, problems)
        return checkpoint.changed(plan=checkpoint.plan.changed(facts=with_parameters(checkpoint.facts, headers)))

    def _header(self, listing: Listing, file: SourceFile) -> Mapping[str, Tensor] | Problem:
        """Return a file's tensors, from its first bytes and no others, or what is wrong with it."""
        try:
            head = self._head(listing, file, min(FIRST_READ_BYTES, file.size_bytes))
            end = header_end(head, file.size_bytes)
            if end > len(head):
                head = self._head(listing, file, end)
            return read_header(head, file.size_bytes)
        except UnsoundError as exc:
            return unsound(file.path, str(exc))

    def _head(self, listing: Listing, file: SourceFile, size_bytes: int) -> bytes:
        head = joined(self._source.stream(listing.source, file, offset=0, size_bytes=size_bytes))
        if len(head) != size_bytes:
            raise BodyCutShort(f"{file.path} gave {len(head)} of its first {size_bytes} bytes. Try again.")
        return head


def _with_problems(checkpoint: Checkpoint, problems: tuple[Problem, ...]) -> Checkpoint:
    return checkpoint.changed(problems=(*checkpoint.problems, *problems))
