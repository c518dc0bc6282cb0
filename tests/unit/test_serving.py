"""The serving section takes each key where the model server reads it; its file reads as it was meant."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pilotlight.domain.broken_rules import broken_rules
from pilotlight.domain.bundle import LARGEST_FILES_BYTES
from pilotlight.domain.serving import (
    OPTION_FIELDS,
    SERVER_FIELDS,
    Engine,
    Quantize,
    RollingBatch,
    ServingSettings,
    Task,
    properties_of,
    to_properties,
    written,
)
from pydantic import TypeAdapter, ValidationError

WEIGHTS = "/opt/ml/additional-model-data-sources/weights"
SYNC_HANDLER = "from djl_python import Input, Output\n\n\ndef handle(inputs: Input) -> Output:\n    return Output()\n"
ASYNC_HANDLER = SYNC_HANDLER.replace("def handle", "async def handle")


def serving(**fields) -> ServingSettings:
    return ServingSettings.model_validate(fields)


def refusal(**fields) -> str:
    """Return how the API words what is wrong with a serving section."""
    with pytest.raises(ValidationError) as caught:
        serving(**fields)
    return "; ".join(map(str, broken_rules(caught.value, "serving")))


def properties(settings: ServingSettings, **defaults: str) -> dict[str, str]:
    return properties_of(settings, model_id=WEIGHTS, defaults=defaults)


def read(text: str) -> dict[str, str]:
    """Read a properties file as java.util.Properties.load(InputStream) is documented to."""
    named = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}

    def unescaped(part: str) -> str:
        plain = re.sub(
            r"\\(u[0-9a-fA-F]{4}|.)",
            lambda found: chr(int(found[1][1:], 16)) if len(found[1]) == 5 else named.get(found[1], found[1]),
            part,
            flags=re.DOTALL,
        )
        return plain.encode("utf-16", "surrogatepass").decode("utf-16")

    pairs = {}
    for line in re.split(r"\r\n|\r|\n", text.encode("latin-1").decode("latin-1")):
        whole = line.lstrip(" \t\f")
        if not whole or whole[0] in "#!":
            continue
        found = re.fullmatch(r"((?:\\.|[^\\=: \t\f])*)[ \t\f]*(?:[=:][ \t\f]*)?(.*)", whole, flags=re.DOTALL)
        pairs[unescaped(found[1])] = unescaped(found[2])
    return pairs


def test_a_section_that_says_nothing_is_served_by_the_engine_python_within_half_an_hour():
    text = to_properties(ServingSettings(), model_id=WEIGHTS, defaults={})

    assert text == f"engine=Python\noption.model_id={WEIGHTS}\noption.model_loading_timeout=1800\n"


def test_a_key_of_the_server_stays_bare_and_one_of_the_model_is_an_option():
    settings = serving(
        engine="MPI",
        task="text-generation",
        tensor_parallel_degree=4,
        dtype="bf16",
        quantize="fp8",
        rolling_batch="auto",
        max_rolling_batch_size=64,
        model_loading_timeout=900,
        minWorkers=1,
        maxWorkers=2,
        batch_size=1,
        max_batch_delay=50,
        job_queue_size=200,
        options={"max_model_len": "8192"},
    )

    assert read(to_properties(settings, model_id=WEIGHTS, defaults={})) == {
        "engine": "MPI",
        "minWorkers": "1",
        "maxWorkers": "2",
        "batch_size": "1",
        "max_batch_delay": "50",
        "job_queue_size": "200",
        "option.model_id": WEIGHTS,
        "option.task": "text-generation",
        "option.tensor_parallel_degree": "4",
        "option.dtype": "bf16",
        "option.quantize": "fp8",
        "option.rolling_batch": "auto",
        "option.max_rolling_batch_size": "64",
        "option.model_loading_timeout": "900",
        "option.max_model_len": "8192",
    }


def test_every_field_is_a_key_of_one_side_or_no_key_at_all():
    assert set(ServingSettings.model_fields) - {"options", "files", "weights", "network_isolation"} == {
        *OPTION_FIELDS,
        *SERVER_FIELDS,
    }


def test_what_the_checkpoint_asks_for_gives_way_to_the_user():
    facts = {"quantize": "awq", "option.dtype": "fp16", "engine": "MPI", "gpu.maxWorkers": "3", "trust": "no"}

    told = properties_of(serving(quantize="awq_marlin", options={"trust": "yes"}), model_id=None, defaults={**facts})

    assert told == {
        "engine": "MPI",
        "gpu.maxWorkers": "3",
        "option.dtype": "fp16",
        "option.quantize": "awq_marlin",
        "option.trust": "yes",
        "option.model_loading_timeout": "1800",
    }


def test_nothing_moves_the_model_from_where_its_weights_are_mounted():
    told = properties(ServingSettings(), model_id="somebody/else")

    assert told["option.model_id"] == WEIGHTS


def test_the_file_is_sorted_so_that_equal_settings_are_equal_bytes():
    one = serving(options={"b": "1", "a": "2"}, dtype="fp16")
    other = serving(dtype="fp16", options={"a": "2", "b": "1"})

    text = to_properties(one, model_id=WEIGHTS, defaults={})

    assert text == to_properties(other, model_id=WEIGHTS, defaults={})
    assert text.splitlines() == sorted(text.splitlines())


@pytest.mark.parametrize(
    "value",
    [
        r"C:\models\new",
        "  leading and trailing  ",
        "tab\tline\nreturn\rfeed\f",
        '{"model": "a=b", "#": "!"}',
        "größe",
        "模型",
        "🚀",
        "# not a comment",
        "a = b : c",
        "\\u0041",
        "x\\",
        "\x01\x7f\x85\u2028",
    ],
)
def test_a_value_is_read_as_it_was_meant_whatever_is_in_it(value):
    text = written({"option.x": value, "zz": "next"})

    assert text.isascii()
    assert read(text) == {"option.x": value, "zz": "next"}
    assert text.count("\n") == 2


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(st.dictionaries(TEXT.filter(bool), TEXT, max_size=5))
def test_any_keys_and_values_are_read_as_they_were_meant(pairs):
    assert read(written(pairs)) == pairs


@pytest.mark.parametrize(
    ("handler", "mode"), [(SYNC_HANDLER, "false"), (ASYNC_HANDLER, "true"), ("x = 1\n" + ASYNC_HANDLER, "true")]
)
def test_a_handler_is_run_as_what_it_is_even_where_the_architecture_generates(handler, mode):
    told = properties(serving(files={"model.py": handler}))

    assert told["option.async_mode"] == mode
    assert told["option.rolling_batch"] == "disable"


def test_a_model_py_without_a_handler_leaves_the_engine_to_lmi():
    told = properties(serving(files={"model.py": "def handle_nothing(x):\n    def handle(y): ...\n"}))

    assert not {"option.async_mode", "option.rolling_batch"} & told.keys()


def test_what_the_user_says_of_batches_and_modes_stands():
    told = properties(
        serving(files={"model.py": SYNC_HANDLER}, rolling_batch="auto", options={"async_mode": "true"}),
    )

    assert (told["option.rolling_batch"], told["option.async_mode"]) == ("auto", "true")


@pytest.mark.parametrize(
    ("fields", "rolling_batch"),
    [
        ({"task": "feature-extraction"}, "disable"),
        ({"task": "text-classification"}, "disable"),
        ({"batch_size": 8}, "disable"),
        ({"task": "text-generation"}, None),
        ({"batch_size": 1}, None),
        ({}, None),
        ({"task": "feature-extraction", "rolling_batch": "vllm"}, "vllm"),
    ],
)
def test_a_task_that_generates_nothing_is_not_given_to_rolling_batches(fields, rolling_batch):
    assert properties(serving(**fields)).get("option.rolling_batch") == rolling_batch


def test_the_least_number_of_workers_alone_is_the_most_too():
    assert properties(serving(minWorkers=3))["maxWorkers"] == "3"
    assert "minWorkers" not in properties(serving(maxWorkers=3))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("tensor_parallel_degre", "did you mean 'tensor_parallel_degree'"),
        ("min_workers", "did you mean 'minWorkers'"),
        ("quantization", "did you mean 'quantize'"),
        ("tensor_parallel_size", "did you mean 'tensor_parallel_degree'"),
        ("option.dtype", "write 'dtype'"),
        ("option.max_model_len", "write 'max_model_len' in options"),
        ("model_id", "source"),
        ("max_idle_time", "SERVING_MAX_IDLE_TIME in container.environment"),
        ("gpu.maxWorkers", "SERVING_GPU_MAXWORKERS"),
        ("max_model_len", "options"),
        ("zzz", "goes into options"),
    ],
)
def test_a_key_that_is_not_known_here_is_refused_with_the_one_that_is(key, words):
    assert words in refusal(**{key: "1"})


def test_a_strange_key_is_not_repeated_at_length():
    assert len(refusal(**{"k" * 2_000_000: "1"})) < 200


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("option.dtype", "write 'dtype'"),
        ("option.max_model_len", "write 'max_model_len'"),
        ("dtype", "serving.dtype"),
        ("tensor_parallel_degree", "serving.tensor_parallel_degree"),
        ("batch_size", "serving.batch_size"),
        ("minWorkers", "serving.minWorkers"),
        ("engine", "serving.engine"),
        ("job_queue_size", "serving.job_queue_size"),
        ("load_on_devices", "SERVING_LOAD_ON_DEVICES"),
        ("max_dynamic_batch_size", "SERVING_MAX_DYNAMIC_BATCH_SIZE"),
        ("model_id", "source"),
        ("quantization", "serving.quantize"),
        ("tensor_parallel_size", "serving.tensor_parallel_degree"),
        ("max_num_seqs", "serving.max_rolling_batch_size"),
        ("tensor_paralel_degree", "did you mean serving.tensor_parallel_degree"),
        ("a b", "letters"),
        ("x=y", "letters"),
        ("", "letters"),
        ("größe", "letters"),
    ],
)
def test_an_option_that_belongs_elsewhere_is_refused_with_its_place(name, words):
    assert words in refusal(options={name: "1"})


def test_options_fit_into_a_record_together():
    few = {f"option_{number}": "é" * 2000 for number in range(8)}

    assert len(serving(options=few).options) == 8
    assert "may hold 32,768" in refusal(options={**few, "one_more": "é" * 2000})


@pytest.mark.parametrize(
    "name",
    ["max_model_len", "gpu_memory_utilization", "trust_remote_code", "entryPoint", "kv_cache_dtype", "max_loras"],
)
def test_what_lmi_and_vllm_know_beyond_our_fields_is_passed_on(name):
    assert properties(serving(options={name: "1"}))[f"option.{name}"] == "1"


@pytest.mark.parametrize("value", ["", "   ", "x" * 5000])
def test_an_option_without_a_value_or_with_a_book_is_refused(value):
    assert refusal(options={"max_model_len": value})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"minWorkers": 3, "maxWorkers": 2}, "must not be more"),
        ({"batch_size": 8, "rolling_batch": "vllm"}, "set rolling_batch to disable"),
        ({"batch_size": 8, "rolling_batch": "auto"}, "max_rolling_batch_size"),
        ({"batch_size": 8, "max_rolling_batch_size": 64}, "leave one out"),
        ({"engine": "MPI", "rolling_batch": "vllm"}, "write engine Python"),
        ({"engine": "Rust", "rolling_batch": "vllm"}, "the engine Python's"),
        ({"engine": "OnnxRuntime", "files": {"model.py": SYNC_HANDLER}}, "the engine Python's"),
        ({"files": {"requirements.txt": "x\n"}}, "set serving.network_isolation to false"),
        ({"options": {"speculative_draft_model": "s3://bucket/draft/"}}, "network_isolation to false"),
        ({"options": {"entryPoint": "https://somewhere/model.py"}}, "network_isolation to false"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_with_what_would_work(fields, words):
    assert words in refusal(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"batch_size": 8, "rolling_batch": "disable"},
        {"batch_size": 1, "rolling_batch": "vllm"},
        {"minWorkers": 2, "maxWorkers": 2},
        {"files": {"requirements.txt": "x\n"}, "network_isolation": False},
        {"options": {"speculative_draft_model": "s3://bucket/draft/"}, "network_isolation": False},
        {"files": {"requirement_list.txt": "x"}},
    ],
)
def test_settings_that_only_look_like_a_contradiction_are_taken(fields):
    assert serving(**fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"quantize": "int3"}, '"awq"'),
        ({"dtype": "float64"}, '"bf16"'),
        ({"engine": "DeepSpeed"}, '"Python"'),
        ({"rolling_batch": "scheduler"}, '"vllm"'),
        ({"task": "sing"}, '"feature-extraction"'),
        ({"tensor_parallel_degree": 0}, "at least 1"),
        ({"model_loading_timeout": 7200}, "at most 3,600"),
    ],
)
def test_a_value_that_no_image_takes_is_refused_with_those_that_are_taken(fields, words):
    assert words in refusal(**fields)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"../model.py": "x"}, "in no folder"),
        ({"/etc/passwd": "x"}, "in no folder"),
        ({"code/model.py": "x"}, "in no folder"),
        ({"model.py\x00.txt": "x"}, "in no folder"),
        ({"model.sh": "x"}, ".py, .txt or .json"),
        ({"serving.properties": "engine=Python"}, "use its fields and serving.options"),
        ({"other.properties": "x"}, ".py, .txt or .json"),
        ({"Model.py": "x"}, "write 'model.py'"),
        ({"model.py": "x" * (LARGEST_FILES_BYTES + 1)}, "at most 65,536 characters"),
        ({"model.py": "x" * 40_000, "more.py": "x" * 40_000}, "weights and data belong to the source"),
        ({"model.py": "half of a pair: \ud83d"}, "unicode"),
        ({"model.py": "ü" * LARGEST_FILES_BYTES}, "weights and data belong to the source"),
        ({f"f{number}.py": "" for number in range(40)}, "at most 32 items"),
    ],
)
def test_files_that_are_not_small_or_not_at_the_root_are_refused(files, words):
    assert words in refusal(files=files)


def test_files_at_the_root_are_kept_as_they_are():
    files = {"model.py": SYNC_HANDLER, "labels.json": "{}", "stop_words.txt": "größe\n", "pooling.py": "x = 1\n"}

    assert serving(files=files).files == files


def test_a_section_is_read_from_its_record_as_it_was_written():
    settings = serving(minWorkers=1, task="feature-extraction", options={"a": "b"}, files={"model.py": SYNC_HANDLER})

    assert ServingSettings.model_validate(settings.dump()) == settings
    assert settings.dump()["minWorkers"] == 1


def test_a_section_says_how_unless_it_speaks_of_the_task_and_the_network_alone():
    assert not ServingSettings().says_how
    assert not serving(task="feature-extraction").says_how
    assert not ServingSettings.model_validate(ServingSettings(network_isolation=False).dump()).says_how
    assert serving(batch_size=8).says_how
    assert serving(files={"a.json": "{}"}).says_how


def test_the_schema_of_a_section_tells_the_spelling_of_its_fields():
    schema = TypeAdapter(ServingSettings).json_schema()

    assert {"minWorkers", "maxWorkers", "options", "files"} <= schema["properties"].keys()
    assert (schema["properties"]["files"]["maxProperties"], schema["properties"]["options"]["maxProperties"]) == (
        32,
        64,
    )
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["RollingBatch"]["enum"] == [each.value for each in RollingBatch]


def test_closed_sets_are_spelled_as_the_server_spells_them():
    letters = set(string.ascii_letters + string.digits + "-_")
    assert all(set(each) <= letters for kind in (Engine, Task, Quantize, RollingBatch) for each in kind)
