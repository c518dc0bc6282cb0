"""The verdict on a model for an endpoint: every refusal says what would work, and the instance is proposed."""

import pytest
from pilotlight.domain.artifact import ModelFacts, SkippedFile
from pilotlight.domain.checkpoint import Checkpoint, CheckpointPlan
from pilotlight.domain.checkpoint_config import ModelConfig
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.preflight import Outcome, Places, judge
from pilotlight.domain.problems import Problem
from pilotlight.domain.sagemaker_serving import Serving
from pilotlight.domain.serving import ServingSettings
from pilotlight.domain.source import SourceFile
from pilotlight.domain.values import Backend
from pilotlight.domain.weight_formats import FormatKind, WeightFormat, detect_format

REGION = "us-west-2"
ENDPOINTS = [backend for backend in Backend if backend.is_endpoint]
LLAMA_8B = ModelFacts(
    architecture="LlamaForCausalLM",
    model_type="llama",
    dtype="bfloat16",
    context_tokens=131_072,
    weight_bytes=16_060_000_000,
    layers=32,
    attention_heads=32,
    kv_heads=8,
    head_dim=128,
    chat_template="{{ messages }}",
    format=WeightFormat(),
)
LLAMA_70B = LLAMA_8B.changed(weight_bytes=141_100_000_000, layers=80, attention_heads=64)
BART = ModelFacts(
    architecture="BartModel", model_type="bart", dtype="float32", weight_bytes=560_000_000, format=WeightFormat()
)
FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")
OWN_IMAGE = {"image": "123456789012.dkr.ecr.us-west-2.amazonaws.com/mine:1"}
HANDLER = {"files": {"model.py": "def handle(inputs):\n    return None\n"}}
PICKLES = Problem(subject="weights", found="pickles only", supported="safetensors", advice="Convert it.")


def a_checkpoint(facts=LLAMA_8B, *, files=FILES, problems=(), skipped=(), **changes):
    staged = tuple(SourceFile(path=path, size_bytes=10) for path in files)
    plan = CheckpointPlan(files=staged, skipped=skipped, facts=facts.changed(**changes), total_bytes=30)
    return Checkpoint(plan=plan, problems=problems)


def verdict_on(checkpoint=None, *, region=REGION, backend=Backend.SAGEMAKER_ASYNC, **hosting):
    return judge(checkpoint or a_checkpoint(), backend, region=region, hosting=Hosting(**hosting))


def outcomes(verdict):
    return {check.name: check.outcome for check in verdict.checks if check.outcome is not Outcome.PASSED}


def check_of(verdict, name):
    (check,) = [check for check in verdict.checks if check.name == name]
    return check


def only_refusal(verdict):
    (check,) = verdict.refusals
    return check


@pytest.mark.parametrize("backend", ENDPOINTS)
def test_a_llama_is_accepted_and_an_instance_is_proposed_with_its_price_and_why(backend):
    verdict = judge(a_checkpoint(), backend, region=REGION)

    assert verdict.accepted
    assert outcomes(verdict) == {}
    assert (verdict.proposal.instance_type, verdict.proposal.usd_per_hour) == ("ml.g6.xlarge", 1.1267)
    assert "cheapest" in verdict.proposal.why
    assert len(verdict.proposal.alternatives) == 3
    assert type(verdict).model_validate(verdict.dump()) == verdict


@pytest.mark.parametrize("container", [{}, OWN_IMAGE], ids=["LMI", "own image"])
def test_weights_that_are_too_large_to_be_packed_are_refused_whoever_serves_them(container):
    checkpoint = a_checkpoint()
    large = checkpoint.changed(plan=checkpoint.plan.changed(total_bytes=16_060_000_000))

    verdict = verdict_on(large, serving={"weights": "packed"}, container=container)

    check = only_refusal(verdict)
    assert check.name == "packing"
    assert check.found == "16,060,000,000 bytes in 3 files"
    assert "2 GiB" in check.supported
    assert check.advice.startswith("Leave serving.weights out, or write beside")


def test_packing_is_told_of_where_it_is_asked_for_and_nowhere_else():
    packed, beside = verdict_on(serving={"weights": "packed"}), verdict_on()

    assert packed.accepted
    assert check_of(packed, "packing").found == "30 bytes in 3 files"
    assert "packing" not in {check.name for check in beside.checks}


def test_bedrock_proposes_no_instance():
    assert judge(a_checkpoint(), Backend.BEDROCK, region="us-east-1").proposal is None


def test_no_place_of_bedrocks_is_needed():
    verdict = judge(a_checkpoint(), Backend.SAGEMAKER_ASYNC, region=REGION, places=Places(quota=0))

    assert verdict.accepted
    assert "quota" not in {check.name for check in verdict.checks}


def test_an_instance_that_is_named_is_taken_with_all_its_gpus():
    verdict = verdict_on(instance={"type": "ml.g5.12xlarge"})

    assert verdict.accepted
    told = str(verdict.proposal)
    assert told.startswith("runs on ml.g5.12xlarge with tensor parallel 4, $7.09 an hour, because it was asked for")
    assert verdict.proposal.alternatives[0].instance_type == "ml.g6.xlarge"


def test_an_unknown_instance_is_refused_with_near_matches_and_one_that_would_do():
    verdict = verdict_on(instance={"type": "ml.g5.3xlarge"})

    check = only_refusal(verdict)
    assert check.name == "instance"
    assert check.supported == "ml.g5.xlarge, ml.g5.2xlarge, ml.g5.4xlarge, ml.g5.8xlarge, ml.g5.48xlarge"
    assert check.advice.startswith("Did you mean ml.g5.xlarge? Choose ml.g6.xlarge ($1.13 an hour)")
    assert verdict.proposal.instance_type == "ml.g6.xlarge"


def test_a_model_too_large_for_its_instance_is_refused_with_those_that_hold_it_and_their_prices():
    verdict = verdict_on(a_checkpoint(LLAMA_70B), instance={"type": "ml.g5.12xlarge"})

    check = only_refusal(verdict)
    assert check.name == "size"
    assert "131.4 GiB of weights" in check.found
    assert "20.2 usable GiB on each of 4 GPUs of ml.g5.12xlarge" in check.supported
    assert "ml.g6e.12xlarge (tensor parallel 4, $13.12 an hour)" in check.advice
    assert verdict.proposal.instance_type == "ml.g6e.12xlarge"


def test_a_model_too_large_for_every_instance_is_refused_with_the_largest_and_what_would_help():
    facts = LLAMA_8B.changed(weight_bytes=812_000_000_000, layers=126, attention_heads=128)

    verdict = verdict_on(a_checkpoint(facts))

    check = only_refusal(verdict)
    assert check.name == "size"
    assert "The largest there is is ml.p4de.24xlarge" in check.advice
    assert "quantised to 4 bits" in check.advice
    assert verdict.proposal is None


@pytest.mark.parametrize(
    ("instance", "degree", "found", "supported", "advice"),
    [
        ("ml.g5.xlarge", 4, "ml.g5.xlarge has 1", "1", "ml.g4dn.12xlarge (tensor parallel 4"),
        ("ml.g5.12xlarge", 3, "32 heads, 8 in the cache", "1, 2, 4", "to 4"),
        ("ml.g5.12xlarge", 8, "ml.g5.12xlarge has 4", "1, 2, 4", "ml.g6.48xlarge (tensor parallel 8"),
        (None, 6, "32 heads, 8 in the cache", "1, 2, 4, 8", "out for the cheapest"),
        (None, 16, "no instance has so many", "1, 2, 4, 8", "out for the cheapest"),
    ],
)
def test_a_degree_that_cannot_be_had_is_refused_with_those_that_can(instance, degree, found, supported, advice):
    settings = {"type": instance} if instance else {}
    facts = LLAMA_8B.changed(attention_heads=32)

    check = only_refusal(verdict_on(a_checkpoint(facts), instance=settings, serving={"tensor_parallel_degree": degree}))

    assert check.name == "tensor parallel"
    assert found in check.found
    assert check.supported == supported
    assert advice in check.advice


def test_weights_that_are_not_split_stay_on_one_gpu():
    bits = WeightFormat(kind=FormatKind.BITSANDBYTES, bits=4, options={"option.quantize": "bitsandbytes"})
    subject = a_checkpoint(format=bits, weight_bytes=5_000_000_000)

    refused = verdict_on(subject, serving={"tensor_parallel_degree": 4})

    assert "not split" in only_refusal(refused).found
    assert verdict_on(subject, instance={"type": "ml.g5.12xlarge"}).proposal.tensor_parallel_degree == 1


def test_a_context_beyond_the_models_own_is_refused():
    check = only_refusal(verdict_on(instance={"context_tokens": 200_000}))

    assert (check.name, check.found) == ("context", "200000 tokens")
    assert "at most 131072" in check.advice


def test_a_context_for_which_there_is_no_memory_is_refused_with_how_long_it_may_be_and_where_it_would_fit():
    check = only_refusal(verdict_on(instance={"type": "ml.g5.xlarge", "context_tokens": 60_000}))

    assert check.name == "context"
    assert "14.6 GiB of cache for 60000 tokens, 2 at once" in check.found
    assert "Set instance.context_tokens to at most 15535." in check.advice
    assert "ml.g6e.xlarge" in check.advice


def test_a_context_that_no_instance_holds_is_refused_as_such():
    check = only_refusal(verdict_on(instance={"context_tokens": 131_072, "concurrency": 4096}))

    assert check.name == "context"
    assert "with a context of" in check.advice


def test_a_longest_text_in_the_options_goes_before():
    verdict = verdict_on(instance={"context_tokens": 4096}, serving={"options": {"max_model_len": "32768"}})

    assert verdict.proposal.context_tokens == 32_768


def test_what_is_served_is_as_long_as_was_counted_with():
    assert verdict_on().proposal.options == {"option.max_model_len": "8192"}
    assert verdict_on(a_checkpoint(context_tokens=2048)).proposal.options == {"option.max_model_len": "2048"}
    assert verdict_on(a_checkpoint(context_tokens=None)).proposal.options == {}  # vLLM knows better than we do


@pytest.mark.parametrize(
    ("instance", "supported", "advice"),
    [
        ("ml.m5.4xlarge", "instances with GPUs", "ml.g6.xlarge"),
        ("ml.inf2.xlarge", "NVIDIA", "an image for Neuron in container.image"),
    ],
)
def test_an_instance_on_which_vllm_does_not_run_is_refused(instance, supported, advice):
    check = only_refusal(verdict_on(instance={"type": instance}))

    assert check.name == "instance"
    assert supported in check.supported
    assert advice in check.advice


@pytest.mark.parametrize(
    ("facts", "serving"),
    [
        (LLAMA_8B, {"dtype": "bf16"}),
        (LLAMA_8B, {"quantize": "fp8"}),
        (LLAMA_8B.changed(format=WeightFormat(kind=FormatKind.FP8, bits=8)), {}),
    ],
)
def test_a_gpu_that_does_not_compute_with_the_weights_is_refused(facts, serving):
    check = only_refusal(verdict_on(a_checkpoint(facts), instance={"type": "ml.g4dn.12xlarge"}, serving=serving))

    assert check.name == "instance"
    assert "too old" in check.advice
    assert "4 × T4" in check.found


def test_an_old_gpu_serves_bfloat16_as_float16_unless_it_is_told_otherwise():
    verdict = verdict_on(instance={"type": "ml.g4dn.12xlarge"})

    assert verdict.accepted
    assert verdict.proposal.options["option.dtype"] == "fp16"


def test_an_unsupported_region_is_refused_with_those_that_are():
    check = only_refusal(verdict_on(region="mars-north-1"))

    assert (check.name, check.found) == ("region", "mars-north-1")
    assert "eu-west-1" in check.supported


def test_a_price_that_is_not_published_says_so_in_the_verdict():
    verdict = verdict_on(region="eu-north-1", instance={"type": "ml.g5.xlarge"})

    assert verdict.accepted
    assert "no rate known in eu-north-1" in check_of(verdict, "instance").found


@pytest.mark.parametrize(
    ("architecture", "model_type", "task"),
    [
        ("BartModel", "bart", "feature-extraction"),
        ("BertModel", "bert", "feature-extraction"),
        ("BertForMaskedLM", "bert", "fill-mask"),
        ("RobertaForSequenceClassification", "roberta", "text-classification"),
        ("XLMRobertaForTokenClassification", "xlm-roberta", "token-classification"),
        ("DistilBertForQuestionAnswering", "distilbert", "question-answering"),
    ],
)
def test_an_encoder_is_accepted_with_its_task_and_needs_no_chat_template(architecture, model_type, task):
    verdict = verdict_on(a_checkpoint(BART, architecture=architecture, model_type=model_type))

    assert verdict.accepted
    assert outcomes(verdict) == {}
    assert "chat template" not in {check.name for check in verdict.checks}
    assert check_of(verdict, "task").found == f"{model_type} ({architecture}): {task}"
    assert verdict.proposal.options == {"option.rolling_batch": "disable", "option.task": task}


def test_a_small_encoder_runs_on_an_instance_without_gpu():
    assert verdict_on(a_checkpoint(BART)).proposal.instance_type == "ml.c5.large"
    assert verdict_on(a_checkpoint(BART), instance={"type": "ml.m5.xlarge"}).accepted


def test_a_pipeline_of_transformers_is_not_split():
    assert "not split" in only_refusal(verdict_on(a_checkpoint(BART), serving={"tensor_parallel_degree": 2})).found


def test_an_encoder_and_decoder_that_writes_is_warned_of_transformers_pipelines():
    verdict = verdict_on(a_checkpoint(BART, architecture="T5ForConditionalGeneration", model_type="t5"))

    assert outcomes(verdict) == {"task": Outcome.WARNED}
    assert verdict.proposal.options["option.rolling_batch"] == "disable"


def test_a_task_that_the_user_names_goes_before_the_class():
    verdict = verdict_on(serving={"task": "text-embedding"})

    assert "text-embedding" in check_of(verdict, "task").found
    assert verdict.proposal.options["option.async_mode"] == "true"  # by vLLM, and without a cache
    assert "context" not in {check.name for check in verdict.checks}


@pytest.mark.parametrize("serving", [{"rolling_batch": "disable"}, {"batch_size": 4}])
def test_a_generating_model_without_continuous_batches_is_transformers_and_lies_on_one_gpu(serving):
    verdict = verdict_on(instance={"type": "ml.g5.12xlarge"}, serving={**serving, "dtype": "bf16"})

    assert outcomes(verdict) == {"task": Outcome.WARNED}
    assert verdict.proposal.tensor_parallel_degree == 1
    assert verdict.proposal.options["option.rolling_batch"] == "disable"


def test_a_class_of_which_nothing_is_known_is_warned_of():
    assert outcomes(verdict_on(a_checkpoint(architecture="ThingWithWings"))) == {"task": Outcome.WARNED}


def test_a_checkpoint_without_a_model_type_is_refused():
    check = only_refusal(verdict_on(a_checkpoint(model_type="unknown")))

    assert (check.name, check.found) == ("task", "no model_type in config.json")


def test_a_generating_model_without_a_chat_template_is_warned_of():
    assert outcomes(verdict_on(a_checkpoint(chat_template=None))) == {"chat template": Outcome.WARNED}


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        (
            {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True},
            ("option.quantize", "awq_marlin"),
        ),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, ("option.quantize", "gptq_marlin")),
    ],
)
def test_a_quantised_model_is_served_with_its_option_and_on_fewer_gpus(settings, option):
    found = detect_format(["model.safetensors"], ModelConfig(model_type="llama", quantization_config=settings))
    subject = a_checkpoint(LLAMA_70B, format=found, weight_bytes=39_800_000_000)

    verdict = verdict_on(subject, instance={"type": "ml.g5.12xlarge"})

    assert verdict.accepted
    assert option in verdict.proposal.options.items()


def test_a_format_that_is_not_served_is_refused_once_with_what_is():
    gguf = detect_format(["model.gguf"], ModelConfig(model_type="llama"))
    subject = a_checkpoint(format=gguf, problems=(PICKLES.changed(found="GGUF only"),), weight_bytes=0)

    verdict = verdict_on(subject)

    check = only_refusal(verdict)
    assert check.name == "format"
    assert "AWQ or GPTQ" in check.advice


def test_pickles_are_refused_as_for_bedrock():
    subject = a_checkpoint(problems=(PICKLES,), weight_bytes=0)

    assert only_refusal(verdict_on(subject)).found == "pickles only"


def test_bitsandbytes_is_warned_of():
    subject = a_checkpoint(format=WeightFormat(kind=FormatKind.BITSANDBYTES, bits=4))

    assert "0.36.0-lmi27" in check_of(verdict_on(subject), "format").advice


@pytest.mark.parametrize(
    ("kind", "quantize", "accepted"),
    [
        (FormatKind.SAFETENSORS, "fp8", True),
        (FormatKind.SAFETENSORS, "bitsandbytes", True),
        (FormatKind.SAFETENSORS, "awq", False),
        (FormatKind.SAFETENSORS, "bitsandbytes4", False),
        (FormatKind.AWQ, "awq", True),
        (FormatKind.AWQ, "awq_marlin", True),
        (FormatKind.AWQ, "gptq", False),
        (FormatKind.GPTQ, "fp8", False),
    ],
)
def test_what_the_user_quantises_with_has_to_agree_with_the_weights(kind, quantize, accepted):
    verdict = verdict_on(a_checkpoint(format=WeightFormat(kind=kind)), serving={"quantize": quantize})

    assert verdict.accepted is accepted
    assert check_of(verdict, "quantize").outcome is (Outcome.PASSED if accepted else Outcome.REFUSED)


@pytest.mark.parametrize(
    ("files", "outcome"),
    [
        (("config.json", "tokenizer.model", "tokenizer_config.json"), Outcome.PASSED),
        (("config.json", "vocab.json", "merges.txt", "tokenizer_config.json"), Outcome.PASSED),
        (("config.json", "tokenizer.json"), Outcome.WARNED),
        (("config.json", "vocab.json", "tokenizer_config.json"), Outcome.REFUSED),
        (("tokenizer.json", "tokenizer_config.json"), Outcome.REFUSED),
    ],
)
def test_a_configuration_and_any_kind_of_tokenizer_are_needed(files, outcome):
    assert check_of(verdict_on(a_checkpoint(files=files)), "files").outcome is outcome


def test_what_is_left_out_is_told():
    skipped = (SkippedFile(path="model.py", size_bytes=9, reason="never staged: code of the repository is not run"),)

    check = check_of(verdict_on(a_checkpoint(skipped=skipped)), "left out")

    assert "served without them" in check.advice


def test_a_handler_of_the_users_own_loads_whatever_it_likes():
    verdict = verdict_on(a_checkpoint(BART), serving=HANDLER, instance={"type": "ml.m5.large"})

    assert verdict.accepted
    assert "the handler in serving.files" in check_of(verdict, "task").found
    assert verdict.proposal.options == {}


def test_an_own_image_is_refused_for_size_instance_and_unstaged_weights_and_otherwise_warned():
    aqlm = detect_format(["model.safetensors"], ModelConfig(quantization_config={"quant_method": "aqlm"}))
    subject = a_checkpoint(format=aqlm, files=("config.json",), model_type="unknown")
    odd = {"tensor_parallel_degree": 3}

    verdict = verdict_on(subject, region="mars-1", container=OWN_IMAGE, serving=odd)

    assert verdict.accepted
    assert set(outcomes(verdict)) == {"format", "files", "region", "tensor parallel"}
    too_small = verdict_on(a_checkpoint(LLAMA_70B), container=OWN_IMAGE, instance={"type": "ml.g5.xlarge"})
    assert only_refusal(too_small).name == "size"
    unknown = verdict_on(container=OWN_IMAGE, instance={"type": "ml.g5.3xlarge"})
    assert only_refusal(unknown).name == "instance"
    pickled = verdict_on(a_checkpoint(problems=(PICKLES,)), container=OWN_IMAGE)
    assert only_refusal(pickled).name == "weights"


def test_an_own_image_runs_on_any_kind_of_instance():
    assert verdict_on(container=OWN_IMAGE, instance={"type": "ml.inf2.xlarge"}).accepted
    assert verdict_on(container=OWN_IMAGE, instance={"type": "ml.m5.4xlarge"}).accepted
    assert verdict_on(container=OWN_IMAGE).proposal.instance_type.startswith("ml.g")


def test_weights_that_an_own_image_would_not_find_are_refused_whatever_their_format():
    gguf = detect_format(["model.gguf"], ModelConfig(model_type="llama"))
    subject = a_checkpoint(format=gguf, problems=(PICKLES.changed(found="GGUF only"),), weight_bytes=0)

    assert only_refusal(verdict_on(subject, container=OWN_IMAGE)).found == "GGUF only"


def test_every_refusal_is_told_and_not_only_the_first():
    subject = a_checkpoint(files=("config.json",), problems=(PICKLES,), model_type="unknown")

    verdict = verdict_on(subject, region="mars-1", instance={"type": "ml.none.such"}, serving={"quantize": "awq"})

    names = [check.name for check in verdict.refusals]
    assert names == ["task", "quantize", "files", "region", "instance", "weights"]


@pytest.mark.parametrize(("told", "tokens"), [("8192", 8192), ("9" * 4096, None)])
def test_a_longest_text_of_more_digits_than_any_model_has_is_not_reckoned_with(told, tokens):
    hosting = Hosting(serving=ServingSettings(options={"max_model_len": told}))

    assert Serving(ModelFacts.model_construct(), hosting).wanted_context_tokens == tokens
