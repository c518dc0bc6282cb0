"""The format of weights is known from names and small files alone; each is served with its options or refused."""

import pytest
from pilotlight.domain.checkpoint_config import ModelConfig
from pilotlight.domain.model_shape import ModelShape
from pilotlight.domain.weight_formats import FormatKind, WeightFormat, detect_format

PLAIN = ("config.json", "model.safetensors", "tokenizer.json")
AMPERE, TURING = 8.6, 7.5
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "desc_act": True}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"}
COMPRESSED = {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 4}}}}


def a_config(model_type="llama", **fields):
    return ModelConfig(model_type=model_type, **fields)


def detected(settings=None, *, paths=PLAIN, beside=None, **config):
    return detect_format(paths, a_config(quantization_config=settings, **config), beside)


def test_weights_that_are_not_quantised_need_no_options():
    found = detected()

    assert (found.kind, found.bits, found.options, found.problem) == (FormatKind.SAFETENSORS, None, {}, None)
    assert not found.is_quantised
    assert str(found) == "safetensors"


@pytest.mark.parametrize(
    ("settings", "kind", "bits", "options"),
    [
        (GPTQ, FormatKind.GPTQ, 4, {"option.quantize": "gptq_marlin"}),
        ({**GPTQ, "bits": 8, "group_size": -1}, FormatKind.GPTQ, 8, {"option.quantize": "gptq_marlin"}),
        ({**GPTQ, "bits": 3}, FormatKind.GPTQ, 3, {"option.quantize": "gptq"}),
        ({**GPTQ, "sym": False}, FormatKind.GPTQ, 4, {"option.quantize": "gptq"}),
        ({**GPTQ, "group_size": 1024}, FormatKind.GPTQ, 4, {"option.quantize": "gptq"}),
        ({**GPTQ, "checkpoint_format": "gptq_v2"}, FormatKind.GPTQ, 4, {"option.quantize": "gptq"}),
        (AWQ, FormatKind.AWQ, 4, {"option.quantize": "awq_marlin"}),
        ({**AWQ, "version": "GEMM"}, FormatKind.AWQ, 4, {"option.quantize": "awq_marlin"}),
        ({**AWQ, "version": "gemv"}, FormatKind.AWQ, 4, {"option.quantize": "awq", "option.dtype": "fp16"}),
        ({**AWQ, "zero_point": False}, FormatKind.AWQ, 4, {"option.quantize": "awq", "option.dtype": "fp16"}),
        ({"quant_method": "fp8"}, FormatKind.FP8, 8, {}),
        (COMPRESSED, FormatKind.COMPRESSED_TENSORS, 4, {}),
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True},
            FormatKind.BITSANDBYTES,
            4,
            {"option.quantize": "bitsandbytes"},
        ),
        (
            {"quant_method": "bitsandbytes", "load_in_8bit": True},
            FormatKind.BITSANDBYTES,
            8,
            {"option.quantize": "bitsandbytes"},
        ),
        ({"quant_method": "mxfp4"}, FormatKind.MXFP4, 4, {}),
        ({"quant_method": "modelopt"}, FormatKind.MODELOPT, None, {}),
    ],
)
def test_a_quantised_format_is_served_with_its_options(settings, kind, bits, options):
    found = detected(settings)

    assert (found.kind, found.bits, found.options, found.problem) == (kind, bits, options, None)
    assert found.is_quantised


def test_older_gpus_do_without_marlin_and_bfloat16():
    for settings, method in ((GPTQ, "gptq"), (AWQ, "awq")):
        found = detected(settings)

        assert found.options_on(AMPERE) == {"option.quantize": f"{method}_marlin"}
        assert found.options_on(TURING) == {"option.quantize": method, "option.dtype": "fp16"}


def test_the_same_is_found_in_the_file_of_older_repositories():
    gptq = detected(beside={"bits": 4, "group_size": 128, "desc_act": False, "sym": True})
    awq = detected(beside={"w_bit": 4, "q_group_size": 128, "zero_point": True, "version": "GEMM"})

    assert (gptq.kind, gptq.options) == (FormatKind.GPTQ, {"option.quantize": "gptq_marlin"})
    assert (awq.kind, awq.options) == (FormatKind.AWQ, {"option.quantize": "awq_marlin"})
    assert gptq.needs_files == {"quantize_config.json", "quant_config.json"}
    assert detected().needs_files == frozenset()


def test_config_json_goes_before_the_file_beside_it():
    assert detected(AWQ, beside={"bits": 3, "group_size": 128}).kind is FormatKind.AWQ


@pytest.mark.parametrize(
    ("found", "kind", "words", "advice"),
    [
        (detected(paths=("config.json", "model.Q4_K_M.gguf")), FormatKind.GGUF, "Q4_K_M", "AWQ or GPTQ"),
        (detected({"quant_method": "exl2", "bits": 4.65}), FormatKind.EXL2, "ExLlama", "AWQ or GPTQ"),
        (detected({"quant_method": "exl3", "bits": 3}), FormatKind.EXL2, "ExLlama", "AWQ or GPTQ"),
        (detected(paths=("config.json", "output.safetensors")), FormatKind.EXL2, "ExLlama", "AWQ or GPTQ"),
        (detected({"quant_method": "hqq", "nbits": 4}), FormatKind.HQQ, "no longer", "bitsandbytes"),
        (detected(paths=("config.json", "qmodel.pt")), FormatKind.HQQ, "qmodel.pt", "AWQ or GPTQ"),
        (detected(model_type="rwkv7"), FormatKind.RWKV, "rwkv7", "RWKV-4"),
        (detected(model_type="", paths=("RWKV-x060-World-3B.pth",)), FormatKind.RWKV, "pickles", "RWKV-4"),
        (detected(neuron={"compiler_type": "neuronx-cc"}), FormatKind.NEURON, "Neuron", "compiled from"),
        (detected(paths=("config.json", "model.neuron")), FormatKind.NEURON, "Neuron", "compiled from"),
        (detected({"quant_method": "aqlm"}), FormatKind.OTHER, "aqlm", "AWQ or GPTQ"),
        (detected({"something": 1}), FormatKind.OTHER, "unnamed", "AWQ or GPTQ"),
        (detected({**GPTQ, "bits": 5}), FormatKind.GPTQ, "5 bits", "4 or 8"),
        (detected({**AWQ, "bits": 3}), FormatKind.AWQ, "3 bits", "4 bits"),
        (detected({"quant_method": "awq"}), FormatKind.AWQ, "no number of bits", "4 bits"),
    ],
)
def test_what_cannot_be_served_is_refused_with_what_can(found, kind, words, advice):
    assert found.kind is kind
    assert found.problem.subject == "format"
    assert words in found.problem.found
    assert "safetensors" in found.problem.supported
    assert advice in found.problem.advice


def test_the_rwkv_that_transformers_has_is_served_without_vllm_and_whole():
    found = detected(model_type="rwkv", architectures=["RwkvForCausalLM"])

    assert found.problem is None
    assert found.options["option.rolling_batch"] == "disable"
    assert not found.splits
    assert not found.is_engine_loaded


def test_a_file_that_is_only_called_like_rwkv_makes_no_rwkv_of_another_model():
    assert detected(paths=(*PLAIN, "RWKV-draft.pth")).kind is FormatKind.SAFETENSORS


def test_gguf_and_compiled_files_beside_plain_safetensors_are_left_aside():
    found = detected(paths=(*PLAIN, "model.Q8_0.gguf", "neuron/model.neuron"))

    assert found == WeightFormat()


@pytest.mark.parametrize("bits", ["4", True, None, float("nan"), float("inf"), -1, 10**9, [4]])
def test_bits_that_are_no_number_of_bits_are_not_believed(bits):
    assert detected({**GPTQ, "bits": bits}).problem.found == "GPTQ with no number of bits"


@pytest.mark.parametrize(
    "groups", [None, [], {"a": None}, {"a": {"weights": 4}}, {"a": {"weights": {"num_bits": "x"}}}]
)
def test_groups_that_tell_no_bits_leave_them_open(groups):
    assert detected({**COMPRESSED, "config_groups": groups}).bits is None


def test_weights_of_bitsandbytes_are_not_split_and_fp8_needs_newer_gpus():
    assert not detected({"quant_method": "bitsandbytes", "load_in_4bit": True}).splits
    assert detected({"quant_method": "fp8"}).least_capability > TURING
    assert detected(AWQ).least_capability <= TURING


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (
            {"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096},
            (32, 32, 8, 128),
        ),
        ({"num_hidden_layers": 28, "num_attention_heads": 16, "hidden_size": 1024, "head_dim": 128}, (28, 16, 16, 128)),
        ({"n_layer": 12, "n_head": 12, "n_embd": 768}, (12, 12, 12, 64)),
        ({"num_layers": 24, "num_heads": 16, "d_model": 1024, "d_kv": 64}, (24, 16, 16, 64)),
        ({"decoder_layers": 6, "decoder_attention_heads": 12, "d_model": 768}, (6, 12, 12, 64)),
        (
            {"num_hidden_layers": 32, "num_attention_heads": 71, "hidden_size": 4544, "multi_query": True},
            (32, 71, 1, 64),
        ),
        (
            {
                "num_hidden_layers": 60,
                "num_attention_heads": 128,
                "hidden_size": 8192,
                "multi_query": True,
                "new_decoder_architecture": True,
                "num_kv_heads": 8,
            },
            (60, 128, 8, 64),
        ),
        (
            {
                "num_hidden_layers": 61,
                "num_attention_heads": 128,
                "num_key_value_heads": 128,
                "kv_lora_rank": 512,
                "qk_rope_head_dim": 64,
            },
            (61, 128, 1, 288),
        ),
        ({}, (None, None, None, None)),
        ({"num_hidden_layers": "many", "num_attention_heads": [8, 4], "hidden_size": -1}, (None, None, None, None)),
        ({"num_hidden_layers": True, "num_attention_heads": 1e300, "head_dim": 1.5}, (None, None, None, None)),
    ],
)
def test_dimensions_are_read_under_whatever_name_a_family_gives_them(config, shape):
    found = ModelShape(**config)

    assert (found.layers, found.heads, found.cached_heads, found.cached_width) == shape


def test_a_multimodal_model_has_the_dimensions_of_its_language_model():
    config = a_config(text_config={"num_hidden_layers": 40, "num_attention_heads": 32, "hidden_size": 4096})

    assert (config.shape.layers, config.shape.cached_width) == (40, 128)
