"""The prompt that a request becomes: through the model's own chat template, or as it is."""

from pydantic import Field

from pilotlight.domain.artifact import ModelFacts
from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.invocation import InvocationRequest
from pilotlight.domain.values import Model
from pilotlight.ports import PromptRenderer


class Prompt(Model):
    """What is sent to the backend; `thinking_opened` when the prompt itself opened `<think>`."""

    text: str = Field(repr=False)
    thinking_opened: bool = False


def render(request: InvocationRequest, facts: ModelFacts | None, templates: PromptRenderer) -> Prompt:
    """Return the prompt of a request.

    A plain prompt to a model without a chat template goes as it is.
    Raises: InvalidInput when messages are given and the model has no template, or the template refuses them.
    """
    template = facts.chat_template if facts else None
    if request.raw or (template is None and request.prompt is not None):
        text = request.prompt or ""
    elif template is None or facts is None:
        raise InvalidInput(
            "This model has no chat template, so messages cannot be rendered. Send prompt instead.",
            field="messages",
            rule="the model has a chat template",
        )
    else:
        text = templates.render(
            template, request.conversation, bos_token=facts.bos_token or "", eos_token=facts.eos_token or ""
        )
    return Prompt(text=text, thinking_opened=text.rstrip().endswith("<think>"))
