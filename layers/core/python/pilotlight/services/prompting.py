"""What a request becomes for a backend: a prompt through the model's own chat template, a body for its container."""

from pydantic import Field

from pilotlight.domain import lmi
from pilotlight.domain.artifact import ModelFacts
from pilotlight.domain.errors import InvalidInput, UnsupportedParameter
from pilotlight.domain.invocation import Form, InvocationRequest, Parameters, RawInvocation
from pilotlight.domain.invocation_request import JSON, Content, payload_bytes
from pilotlight.domain.values import Model
from pilotlight.ports import PromptRenderer


class Prompt(Model):
    """What is sent to the backend; `thinking_opened` when the prompt itself opened `<think>`."""

    text: str = Field(repr=False)
    thinking_opened: bool = False


class Ask(Model):
    """A request made ready: for a model its prompt and parameters, for a container its body."""

    form: Form
    prompt: Prompt | None = None
    parameters: Parameters = Parameters()
    content: Content | None = None

    @property
    def thinking_opened(self) -> bool:
        """Whether the prompt itself opened `<think>`."""
        return self.prompt is not None and self.prompt.thinking_opened


def for_model(request: InvocationRequest, facts: ModelFacts | None, templates: PromptRenderer) -> Ask:
    """Return the request as a backend takes it that is asked with prompts. Raises: InvalidInput."""
    prompt = render(request, facts, templates)
    return Ask(form=Form.TEXT, prompt=prompt, parameters=request.parameters)


def for_container(
    request: InvocationRequest | RawInvocation, facts: ModelFacts | None, templates: PromptRenderer
) -> Ask:
    """Return the request as a container takes it. Raises: InvalidInput, UnsupportedParameter."""
    if isinstance(request, RawInvocation):
        content = Content(data=request.data, content_type=request.content_type, accept=request.accept)
        return Ask(form=Form.BODY, content=content)
    if request.input:
        content_type = request.content_type or JSON
        content = Content(location=request.input, content_type=content_type, accept=request.accept)
        return Ask(form=Form.BODY, content=content)
    if request.form is Form.BODY:
        return Ask(form=Form.BODY, content=Content(data=payload_bytes(request.payload), accept=request.accept))
    if request.messages and (facts is None or facts.chat_template is None):
        return Ask(form=Form.TEXT, parameters=request.parameters, content=_chat(request))
    prompt = render(request, facts, templates)
    body = lmi.generation_body(prompt.text, request.parameters)
    return Ask(
        form=Form.TEXT,
        prompt=prompt,
        parameters=request.parameters,
        content=Content(data=payload_bytes(body), accept=request.accept),
    )


def _chat(request: InvocationRequest) -> Content:
    """Return the body of messages that we have no template for: the container has one beside its weights, or says so.

    Raises: UnsupportedParameter.
    """
    asked = {name for name, value in dict(request.parameters).items() if value is not None}
    if lacking := sorted(asked & lmi.CHAT_LACKS):
        raise UnsupportedParameter(
            f"This model's chat template is in its container alone, and messages are sent to it as they are: that form "
            f"has no parameter {', '.join(lacking)}. Leave it out, or send prompt.",
            field=f"parameters.{lacking[0]}",
            rule="supported in the chat form",
            supported=sorted(lmi.SUPPORTED - lmi.CHAT_LACKS),
        )
    return Content(data=payload_bytes(lmi.chat_body(request.messages or (), request.parameters)), accept=request.accept)


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
