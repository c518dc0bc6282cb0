"""Would an endpoint serve this model, and on which instance? SageMaker's checks, and the instance that is proposed.

Where the user brings an image, only what SageMaker itself decides refuses (size, instance, region), and what cannot be
staged; whatever LMI would refuse is only told.
"""

from collections.abc import Iterator, Sequence

from pilotlight.domain import sagemaker_support as sagemaker
from pilotlight.domain.checkpoint import UNKNOWN, Checkpoint
from pilotlight.domain.checkpoint_files import TOKENIZER_CONFIG
from pilotlight.domain.checks import Check, Outcome, chat_template, left_out, of_problem, passed, refused, warned
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.packing import SUBJECT, SUPPORTED, in_words, problem_with_packing
from pilotlight.domain.preflight_instance import Judged, judge_instance
from pilotlight.domain.sagemaker_serving import Serving
from pilotlight.domain.serving import GENERATING, Task
from pilotlight.domain.throughput import Measurement
from pilotlight.domain.weight_formats import SERVED, FormatKind

_TASKS = f"by vLLM or transformers: {', '.join(sagemaker.TASKS)}"
_OF_SAGEMAKER = frozenset({"size", "instance", "region"})
_LAST_WITH_BITSANDBYTES = "0.36.0-lmi27.0.0-cu130"


def judge_sagemaker(
    checkpoint: Checkpoint, region: str, hosting: Hosting, measurements: Sequence[Measurement] = ()
) -> Judged:
    """Return every check of an endpoint's, and the instance to run on."""
    serving = Serving(checkpoint.facts, hosting, measurements)
    about_instance, proposal = judge_instance(serving, region) if checkpoint.facts.weight_bytes else ((), None)
    checks = [*_of_the_model(checkpoint, serving), _region(region, serving), *about_instance]
    if serving.has_own_image:
        checks = [_softened(check) for check in checks]
    return (*checks, *_packing(checkpoint, serving), *_unstaged(checkpoint, serving)), proposal


def _of_the_model(checkpoint: Checkpoint, serving: Serving) -> Iterator[Check]:
    yield _task(serving)
    yield _format(serving)
    yield from _quantize(serving)
    yield _files(checkpoint)
    yield from left_out(checkpoint, "served")
    if serving.task is None or serving.task in GENERATING:
        yield chat_template(checkpoint)


def _unstaged(checkpoint: Checkpoint, serving: Serving) -> Iterator[Check]:
    """Yield what keeps the checkpoint from being staged; a refused format has said the same of its weights already."""
    for problem in checkpoint.problems:
        if problem.subject != "weights" or serving.format.problem is None or serving.has_own_image:
            yield of_problem(problem)


def _packing(checkpoint: Checkpoint, serving: Serving) -> Iterator[Check]:
    """Say whether weights that are to be packed can be; an image of the user's own makes no difference to that."""
    wanted = serving.hosting.serving
    if not wanted.packs_weights:
        return
    paths, total_bytes = checkpoint.plan.paths, checkpoint.plan.total_bytes
    problem = problem_with_packing(paths, total_bytes, wanted.files)
    yield of_problem(problem) if problem else passed(SUBJECT, in_words(paths, total_bytes), SUPPORTED)


def _softened(check: Check) -> Check:
    if check.outcome is not Outcome.REFUSED or check.name in _OF_SAGEMAKER:
        return check
    return check.changed(outcome=Outcome.WARNED)


def _task(serving: Serving) -> Check:
    facts = serving.facts
    found = f"{facts.model_type} ({facts.architecture})"
    if serving.has_own_code:
        whose = "the image in container.image" if serving.has_own_image else "the handler in serving.files"
        return passed("task", f"{found}, served by {whose}", _TASKS)
    if facts.model_type == UNKNOWN:
        advice = "Name a complete repository in transformers' format, or bring a handler in serving.files."
        return refused("task", "no model_type in config.json", _TASKS, advice)
    if serving.task is None:
        advice = "Set serving.task; otherwise LMI concludes it from the class."
        return warned("task", f"{found}, of which no task is known", _TASKS, advice)
    if serving.task is Task.TEXT2TEXT_GENERATION or (serving.generates and not serving.by_vllm):
        advice = (
            "vLLM does not serve it: transformers does, one request at a time, if the image's version still has it."
        )
        return warned("task", f"{found}: {serving.task}", _TASKS, advice)
    return passed("task", f"{found}: {serving.task}", _TASKS)


def _format(serving: Serving) -> Check:
    if problem := serving.format.problem:
        return of_problem(problem)
    if serving.format.kind is FormatKind.BITSANDBYTES:
        advice = f"Name container.version {_LAST_WITH_BITSANDBYTES} or an older one: newer versions of vLLM drop it."
        return warned("format", str(serving.format), SERVED, advice)
    return passed("format", str(serving.format), SERVED)


def _quantize(serving: Serving) -> Iterator[Check]:
    """Say whether the user's `quantize` agrees with the weights."""
    wanted, kind = serving.hosting.serving.quantize, serving.format.kind
    if wanted is None or serving.format.problem or not serving.by_vllm:
        return
    on_loading = ", ".join(sorted(sagemaker.ON_LOADING))
    if serving.format.is_quantised:
        agrees = wanted.removesuffix("_marlin") == kind.value
        supported = f"{kind.value}, as the weights are"
        advice = "Leave serving.quantize out: the checkpoint tells how it is quantised."
    else:
        agrees = wanted in sagemaker.ON_LOADING
        supported = f"{on_loading}, which vLLM does while it loads; other methods need weights made so before"
        advice = f"Set serving.quantize to one of {on_loading}, or deploy a repository whose weights are {wanted}."
    if agrees:
        yield passed("quantize", f"{wanted} of weights in {kind.value}", supported)
    else:
        yield refused("quantize", f"{wanted} of weights in {kind.value}", supported, advice)


def _files(checkpoint: Checkpoint) -> Check:
    present = frozenset(checkpoint.plan.paths)
    supported = f"{sagemaker.REQUIRED_FILE}, {TOKENIZER_CONFIG} and a tokenizer"
    advice = "Write them with transformers: save_pretrained() of the model, and of AutoTokenizer.from_pretrained(...)."
    missing = [] if sagemaker.REQUIRED_FILE in present else [sagemaker.REQUIRED_FILE]
    if not any(each <= present for each in sagemaker.TOKENIZER_FILES):
        missing.append("tokenizer")
    if missing:
        return refused("files", f"no {', no '.join(missing)}", supported, advice)
    if TOKENIZER_CONFIG not in present:
        return warned("files", f"no {TOKENIZER_CONFIG}", supported, advice)
    return passed("files", supported, supported)


def _region(region: str, serving: Serving) -> Check:
    supported = ", ".join(sagemaker.REGIONS)
    if region in sagemaker.REGIONS:
        return passed("region", region, supported)
    advice = "Deploy the stack in one of these: they have a registry of LMI's images."
    check = refused("region", region, supported, advice)
    return check.changed(outcome=Outcome.WARNED) if serving.has_own_image else check
