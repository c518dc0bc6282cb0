"""What is wrong with a checkpoint, whatever the backend: found, wanted, and what to do."""

from collections.abc import Sequence

from pilotlight.domain.values import Model

_NAMED = 5


class Problem(Model):
    """One thing that is wrong; `subject` names the check that it refuses."""

    subject: str
    found: str
    supported: str
    advice: str

    def __str__(self) -> str:
        """Return the problem as one sentence or two."""
        return f"{self.subject}: found {self.found}; supported: {self.supported}. {self.advice}"

    @classmethod
    def unreadable(cls, path: str, why: str) -> "Problem":
        """Return the problem of a file that does not hold what its name promises."""
        return cls(
            subject="files",
            found=f"{path} cannot be read: {why}",
            supported=f"{path} as transformers' save_pretrained writes it",
            advice=f"Write {path} again and deploy the new revision.",
        )


def some_of(names: Sequence[str]) -> str:
    """Return the first few names, quoted, and how many more there are."""
    shown = ", ".join(repr(name[:120]) for name in names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"
