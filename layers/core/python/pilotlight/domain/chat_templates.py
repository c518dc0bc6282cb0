"""The chat templates of a checkpoint: programs of a stranger's, which are judged before they are staged."""

from collections.abc import Iterator, Sequence

from pydantic import Field

from pilotlight.domain.problems import Problem
from pilotlight.domain.values import Model

SUBJECT = "chat template"
MOST_TEMPLATES = 8  # those in use have up to three: one to talk, one for tools, one for retrieval


class ChatTemplate(Model):
    """A chat template, and where it stands: a file, with the template's name where the file has several."""

    where: str
    text: str = Field(repr=False)


def distinct(templates: Sequence[ChatTemplate]) -> tuple[ChatTemplate, ...]:
    """Return each text once, by the first place where it stands."""
    first = {template.text: template for template in reversed(templates)}
    return tuple(template for template in templates if first[template.text] is template)


def too_many(templates: Sequence[ChatTemplate]) -> Iterator[Problem]:
    """Yield the problem of a checkpoint with more templates than are looked into."""
    if len(templates) > MOST_TEMPLATES:
        yield objection(templates[0].where, f"is one of {len(templates)}, and no model has over {MOST_TEMPLATES}")


def objection(where: str, why: str) -> Problem:
    """Return the problem of a template; `why` goes on where its place ends, as in "uses …"."""
    return Problem(
        subject=SUBJECT,
        found=f"the one in {where} {why}",
        supported="what real families' templates use: conditions, loops, macros, filters and methods of text",
        advice="Take the template out, or write it again from these alone, and deploy the new revision.",
    )
