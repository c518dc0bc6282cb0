"""A checkpoint is known from its listing and its small files: what is staged, what is skipped, what is wrong."""

import json

import pytest
from pilotlight.domain.checkpoint import read_checkpoint
from pilotlight.domain.checkpoint_config import (
    UnreadableError,
    WeightIndex,
    derived_tokenizer_config,
    json_object,
    parse,
)
from pilotlight.domain.checkpoint_files import READ_LIMITS, name_problem, to_read
from pilotlight.domain.source import Listing, Source, SourceFile

from local.checkpoints import write_checkpoint

CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "torch_dtype": "bfloat16",
    "max_position_embeddings": 8192,
}
TOKENIZER = {
    "tokenizer_class": "LlamaTokenizerFast",
    "bos_token": "<s>",
    "eos_token": {"content": "</s>", "lstrip": False},
    "chat_template": "{{ messages }}",
}
INDEX = {"metadata": {"total_size": 5000}, "weight_map": {"a": "one.safetensors", "b": "deep/two.safetensors"}}


def as_bytes(content):
    return content if isinstance(content, bytes) else json.dumps(content).encode()


def read(files):
    """Read a checkpoint from path → content; a number stands for a large file of that size."""
    contents = {path: as_bytes(content) for path, content in files.items() if not isinstance(content, int)}
    sizes = {path: content if isinstance(content, int) else len(contents[path]) for path, content in files.items()}
    listing = Listing(
        source=Source.parse(f"hf://acme/model@{'a' * 40}"),
        files=tuple(SourceFile(path=path, size_bytes=size) for path, size in sizes.items()),
    )
    return read_checkpoint(listing, {path: contents[path] for path in to_read(listing)})


def model(**changes):
    """Return a sound checkpoint's files with these changed; None removes one."""
    files = {
        "config.json": CONFIG,
        "tokenizer_config.json": TOKENIZER,
        "tokenizer.json": b"{}",
        "model.safetensors": 4096,
    }
    return {path: content for path, content in (files | changes).items() if content is not None}


def sharded(**changes):
    shards = {"model.safetensors.index.json": INDEX, "one.safetensors": 3000, "deep/two.safetensors": 2100}
    return model(**{"model.safetensors": None, **shards, **changes})


def reasons(checkpoint):
    return {file.path: file.reason for file in checkpoint.plan.skipped}


def subjects(checkpoint):
    return [problem.subject for problem in checkpoint.problems]


def test_the_shards_are_those_that_the_index_names_whatever_they_are_called():
    checkpoint = read(sharded(**{"model-00001-of-00002.safetensors": 3000}))

    assert checkpoint.problems == ()
    assert {"one.safetensors", "deep/two.safetensors"} <= set(checkpoint.plan.paths)
    assert "does not name it" in reasons(checkpoint)["model-00001-of-00002.safetensors"]
    assert checkpoint.facts.weight_bytes == 5100


def test_facts_are_read_from_the_small_files():
    facts = read(sharded()).facts

    assert (facts.architecture, facts.model_type, facts.dtype) == ("LlamaForCausalLM", "llama", "bfloat16")
    assert (facts.context_tokens, facts.parameter_count) == (8192, 2500)
    assert (facts.tokenizer_class, facts.bos_token, facts.eos_token) == ("LlamaTokenizerFast", "<s>", "</s>")
    assert facts.chat_template == "{{ messages }}"


def test_a_multimodal_configuration_is_read_from_its_text_part():
    config = {"model_type": "mllama", "text_config": {"dtype": "torch.float16", "max_position_embeddings": 131072}}

    facts = read(model(**{"config.json": config})).facts

    assert (facts.dtype, facts.context_tokens, facts.architecture) == ("float16", 131072, "unknown")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("LICENSE", "not needed"),
        ("figures/benchmark.png", "a picture"),
        ("original/consolidated.00.pth", "pickles run code"),
        ("pytorch_model.bin", "pickles run code"),
        ("modeling_llama.py", "code of the repository"),
        ("model.gguf", "another format"),
        ("adapter_model.safetensors", "LoRA"),
        ("_COMPLETE", "Pilotlight's own"),
        ("pilotlight.json", "Pilotlight's own"),
        ("名.txt", "characters other than"),
    ],
)
def test_what_is_not_part_of_the_model_is_skipped_with_its_reason(path, reason):
    checkpoint = read(model(**{path: 5000}))

    assert reason in reasons(checkpoint)[path]
    assert checkpoint.problems == ()


def test_a_separate_template_is_folded_into_a_derived_tokenizer_config():
    checkpoint = read(model(**{"chat_template.jinja": "｜{{ messages }}".encode()}))

    (derived,) = checkpoint.plan.derived
    assert derived.path == "tokenizer_config.json"
    assert derived.derived_from == ("tokenizer_config.json", "chat_template.jinja")
    assert json.loads(derived.content) == {**TOKENIZER, "chat_template": "｜{{ messages }}"}
    assert [file.path for file in checkpoint.plan.files].count("tokenizer_config.json") == 0
    assert reasons(checkpoint)["chat_template.jinja"] == "folded into tokenizer_config.json"
    assert checkpoint.facts.chat_template == "｜{{ messages }}"
    assert checkpoint.plan.total_bytes == sum(file.size_bytes for file in checkpoint.plan.files) + len(derived.content)


def test_a_template_of_a_processor_is_folded_too_and_the_text_file_wins_over_it():
    folded = read(model(**{"chat_template.json": {"chat_template": "processor"}}))
    both = read(model(**{"chat_template.json": {"chat_template": "processor"}, "chat_template.jinja": b"text"}))

    assert folded.facts.chat_template == "processor"
    assert both.facts.chat_template == "text"
    assert set(reasons(both)) == {"chat_template.json", "chat_template.jinja"}


def test_a_separate_template_that_stands_inside_as_well_derives_nothing():
    checkpoint = read(model(**{"chat_template.jinja": b"{{ messages }}"}))

    assert checkpoint.plan.derived == ()
    assert "tokenizer_config.json" in checkpoint.plan.paths


def test_of_several_templates_the_default_one_is_taken():
    templates = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]

    checkpoint = read(model(**{"tokenizer_config.json": {**TOKENIZER, "chat_template": templates}}))

    assert checkpoint.facts.chat_template == "plain"


@pytest.mark.parametrize(
    ("files", "subject", "words"),
    [
        (sharded(**{"one.safetensors": None}), "weights", "1 of the 2 shards"),
        (sharded(**{"model.safetensors.index.json": {"metadata": {}}}), "files", "weight_map"),
        (sharded(**{"model.safetensors.index.json": {"weight_map": {}}}), "files", "weight_map"),
        (sharded(**{"model.safetensors.index.json": 21 * 1024 * 1024}), "files", "no real one has more"),
        (sharded(**{"one.safetensors": 130, "deep/two.safetensors": 131}), "weights", "index.json says 5000"),
        (model(**{"model.safetensors": 134}), "weights", "are stubs"),
        (model(**{"model.safetensors": None}), "weights", "no weights at all"),
        (model(**{"model.safetensors": None, "pytorch_model.bin": 9000}), "weights", "pickles only"),
        (model(**{"model.safetensors": None, "q4.gguf": 9000}), "weights", "GGUF only"),
        (model(**{"model.safetensors": None, "other.safetensors": 9000}), "weights", "but neither"),
        ({"adapter_config.json": b"{}", "adapter_model.safetensors": 9000}, "adapter", "LoRA adapter"),
        (model(**{"config.json": b"not json"}), "files", "not JSON"),
        (model(**{"config.json": b"[1]"}), "files", "not a JSON object"),
        (model(**{"config.json": b'{"a":' * 5000 + b"1" + b"}" * 5000}), "files", "config.json"),
        (model(**{"config.json": b'{"a":' * 80 + b"1" + b"}" * 80}), "files", "deeper than 64"),
        (model(**{"config.json": {**CONFIG, "torch_dtype": "x" * 300}}), "files", "torch_dtype"),
        (model(**{"config.json": {**CONFIG, "max_position_embeddings": "many"}}), "files", "max_position"),
        (model(**{"config.json": b'{"max_position_embeddings": ' + b"9" * 5000 + b"}"}), "files", "config.json"),
        (model(**{"tokenizer_config.json": {**TOKENIZER, "chat_template": "x" * 200_000}}), "files", "chat_template"),
        (model(**{"chat_template.jinja": b"\xff\xfe"}), "files", "not UTF-8"),
        (model(**{"chat_template.jinja": b"x" * 200_000}), "files", "longer than"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(files, subject, words):
    checkpoint = read(files)

    (problem,) = checkpoint.problems
    assert problem.subject == subject
    assert words in problem.found
    assert problem.advice


@pytest.mark.parametrize(
    "name",
    [
        "../x.safetensors",
        "./x.safetensors",
        "/x.safetensors",
        "a\\x.safetensors",
        "a//x.safetensors",
        "a b.safetensors",
        "a:b.safetensors",
        "x\n.safetensors",
        "模型.safetensors",
        "a" * 901 + ".safetensors",
        "x.bin",
    ],
)
def test_an_index_cannot_name_a_file_that_must_not_be_staged(name):
    index = {"weight_map": {"a": name}}

    checkpoint = read(sharded(**{"model.safetensors.index.json": index, name: 5000}))

    assert subjects(checkpoint) == ["weights"]
    assert name not in checkpoint.plan.paths


@pytest.mark.parametrize("name", ["model-1-of-3.safetensors", "a/b/c.safetensors", "(x)!'*_.safetensors"])
def test_a_name_that_bedrock_reads_has_no_problem(name):
    assert name_problem(name) is None


def test_no_limit_of_a_small_file_lets_a_verdict_read_much():
    assert sum(READ_LIMITS.values()) < 40 * 1024 * 1024


def test_a_derived_tokenizer_config_keeps_everything_else_in_its_order():
    before = b'{"z": 1, "chat_template": "old", "a": "\\ud800", "n": 1000000000000000019884624838656}'

    after = derived_tokenizer_config(before, "new")

    assert list(json.loads(after)) == ["z", "chat_template", "a", "n"]
    assert json.loads(after) == {**json.loads(before), "chat_template": "new"}


def test_a_file_that_begins_with_a_byte_order_mark_is_read():
    assert json_object(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_what_is_unreadable_is_not_quoted():
    with pytest.raises(UnreadableError) as caught:
        json_object(b'{"hf_token": hf_secret}')

    assert "secret" not in str(caught.value)


def test_a_field_that_breaks_a_rule_is_named_as_its_rule_is_without_a_word_of_the_file():
    with pytest.raises(UnreadableError) as caught:
        parse(b'{"weight_map": {"the code is 1234": 5}}', WeightIndex)

    assert str(caught.value) == "its field 'weight_map.(no name of a field)' is wrong: must be text"


@pytest.mark.parametrize("options", [{}, {"single_file": True}, {"chat_template": "separate"}, {"chat_template": None}])
def test_real_checkpoints_are_staged_whole_and_their_clutter_is_not(tmp_path, options):
    written = write_checkpoint(tmp_path, shard_bytes=50_000, **options)

    checkpoint = read({name: (written.folder / name).read_bytes() for name in written.files})

    assert checkpoint.problems == ()
    assert set(written.weights) <= set(checkpoint.plan.paths)
    skipped = {"LICENSE", "README.md", ".gitattributes", "figures/benchmark.png", "original/consolidated.00.pth"}
    assert skipped <= set(reasons(checkpoint))
    assert set(checkpoint.plan.paths) | set(reasons(checkpoint)) == set(written.files)
    if not options.get("single_file"):
        assert checkpoint.facts.parameter_count == written.parameter_count


GPTQ = {"bits": 4, "group_size": 128, "sym": True, "desc_act": False}
SHAPE = {"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096}


def test_facts_tell_what_sizing_needs():
    facts = read(model(**{"config.json": {**CONFIG, **SHAPE}})).facts

    assert (facts.layers, facts.attention_heads, facts.kv_heads, facts.head_dim) == (32, 32, 8, 128)
    assert (facts.hidden_size, facts.quantisation, facts.format.kind) == (4096, None, "safetensors")


def test_dimensions_that_make_no_sense_are_not_known_and_refuse_nothing():
    checkpoint = read(model(**{"config.json": {**CONFIG, "num_hidden_layers": "32", "num_attention_heads": [4, 8]}}))

    assert checkpoint.problems == ()
    assert (checkpoint.facts.layers, checkpoint.facts.attention_heads) == (None, None)


@pytest.mark.parametrize("name", ["quantize_config.json", "quant_config.json"])
def test_the_file_that_tells_how_weights_are_quantised_is_staged_with_them(name):
    checkpoint = read(model(**{name: GPTQ}))

    assert name in checkpoint.plan.paths
    assert (checkpoint.facts.quantisation, checkpoint.facts.format.bits) == ("gptq", 4)


@pytest.mark.parametrize("content", [b"\x80pickle", b"[4]", 5 * 1024 * 1024])
def test_a_file_of_that_name_that_cannot_be_read_is_left_where_it_is(content):
    checkpoint = read(model(**{"quantize_config.json": content}))

    assert reasons(checkpoint)["quantize_config.json"] == "not needed to serve the model"
    assert checkpoint.problems == ()
    assert checkpoint.facts.format.kind == "safetensors"


def test_a_file_of_that_name_that_cannot_be_read_is_not_staged_for_weights_that_need_none_of_it():
    config = {**CONFIG, "quantization_config": {"quant_method": "gptq", **GPTQ}}

    checkpoint = read(model(**{"config.json": config, "quantize_config.json": b"\x80pickle"}))

    assert checkpoint.facts.format.kind == "gptq"
    assert "quantize_config.json" in reasons(checkpoint)


def test_a_file_of_that_name_beside_another_format_is_left_where_it_is():
    config = {**CONFIG, "quantization_config": {"quant_method": "fp8"}}

    assert "quantize_config.json" in reasons(read(model(**{"config.json": config, "quantize_config.json": GPTQ})))


def test_a_lone_file_of_gptq_weights_is_staged_under_its_own_name_and_is_irregular_for_others():
    files = {"model.safetensors": None, "gptq_model-4bit-128g.safetensors": 4096, "quantize_config.json": GPTQ}

    checkpoint = read(model(**files))

    assert [file.path for file in checkpoint.weights] == ["gptq_model-4bit-128g.safetensors"]
    assert checkpoint.problems == ()
    (irregular,) = checkpoint.irregular
    assert irregular.subject == "weights"
    assert "gptq_model-4bit-128g.safetensors" in irregular.found


def test_a_lone_file_of_weights_in_a_folder_below_is_not_taken():
    files = {"model.safetensors": None, "4bit/model.safetensors": 4096, "quantize_config.json": GPTQ}

    assert subjects(read(model(**files))) == ["weights"]


def test_of_two_files_of_gptq_weights_none_is_chosen():
    files = {
        "model.safetensors": None,
        "4bit.safetensors": 4096,
        "8bit.safetensors": 4096,
        "quantize_config.json": GPTQ,
    }

    checkpoint = read(model(**files))

    assert checkpoint.weights == ()
    assert subjects(checkpoint) == ["weights"]


def test_a_stub_of_a_lone_file_is_no_weights():
    files = {"model.safetensors": None, "gptq_model.safetensors": 130, "quantize_config.json": GPTQ}

    assert "stubs" in read(model(**files)).problems[0].found
