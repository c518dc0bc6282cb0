"""What a model needs of an instance, whether it fits, and which instance is proposed, for how much and why."""

from datetime import UTC, datetime

import pytest
from pilotlight.domain.artifact import ModelFacts
from pilotlight.domain.hosting import OptimizeFor
from pilotlight.domain.instances import GIB, Kind, instance_of
from pilotlight.domain.proposals import DEAREST_RATIO, as_size, propose, remedies, with_alternatives
from pilotlight.domain.sizing import (
    LOADED_TWICE,
    OVERHEAD_BYTES,
    OVERHEAD_OF_SHARING_BYTES,
    OVERHEAD_WITHOUT_GPU_BYTES,
    Misfit,
    best_fit,
    cache_bytes_per_token,
    fits,
    need_of,
    possible_degrees,
)
from pilotlight.domain.throughput import Measurement
from pilotlight.domain.weight_formats import FormatKind, WeightFormat

REGION = "us-west-2"
ALL_KINDS = frozenset(Kind)
LLAMA_8B = ModelFacts(
    architecture="LlamaForCausalLM",
    model_type="llama",
    dtype="bfloat16",
    weight_bytes=16_060_000_000,
    layers=32,
    attention_heads=32,
    kv_heads=8,
    head_dim=128,
)
LLAMA_70B = LLAMA_8B.changed(weight_bytes=141_100_000_000, layers=80, attention_heads=64)
LLAMA_405B = LLAMA_8B.changed(weight_bytes=812_000_000_000, layers=126, attention_heads=128)
QWEN_SMALL = LLAMA_8B.changed(weight_bytes=990_000_000, layers=24, attention_heads=14, kv_heads=2, head_dim=64)
BART = LLAMA_8B.changed(
    architecture="BartModel", model_type="bart", dtype="float32", weight_bytes=560_000_000, attention_heads=12
)


def a_need(facts=LLAMA_8B, *, context_tokens=8192, concurrency=2, **options):
    return need_of(facts, context_tokens=context_tokens, concurrency=concurrency, **options)


def on(instance_type, need, degree=1):
    return fits(instance_of(instance_type), need, degree)


def quantised(facts, kind, **fields):
    return facts.changed(format=WeightFormat(kind=kind, **fields))


def test_a_token_leaves_keys_and_values_of_every_layer_and_cached_head():
    assert cache_bytes_per_token(LLAMA_8B) == 2 * 32 * 8 * 128 * 2
    assert a_need().cache_bytes == 131_072 * 8192 * 2


def test_unknown_dimensions_leave_a_guess_and_never_nothing():
    assert cache_bytes_per_token(LLAMA_8B.changed(layers=None)) == 16_060_000_000 // 131_072


@pytest.mark.parametrize(
    ("options", "resident", "loading"),
    [
        ({}, 1.0, 1.0),
        ({"dtype": "fp32"}, 2.0, 2.0),
        ({"dtype": "auto"}, 1.0, 1.0),
        ({"quantize": "fp8"}, 0.55, 1.0),  # the whole model is there before it is quantised
        ({"quantize": "bitsandbytes"}, 0.32, 0.32),
        ({"by_vllm": False}, 2.0, 2.0),  # transformers' pipelines load 32 bits
        ({"by_vllm": False, "dtype": "fp16"}, 1.0, 1.0),
    ],
)
def test_weights_take_what_they_are_served_as(options, resident, loading):
    need = a_need(**options)

    assert need.weight_bytes == pytest.approx(LLAMA_8B.weight_bytes * resident)
    assert need.loading_bytes == pytest.approx(LLAMA_8B.weight_bytes * loading)


def test_thirty_two_bits_in_the_file_are_sixteen_in_vllm():
    assert a_need(LLAMA_8B.changed(dtype="float32")).weight_bytes == LLAMA_8B.weight_bytes // 2


def test_quantised_weights_take_what_their_files_do_whatever_the_type_of_the_rest():
    facts = quantised(LLAMA_70B.changed(weight_bytes=39_800_000_000, dtype="float32"), FormatKind.AWQ, bits=4)

    assert a_need(facts).weight_bytes == 39_800_000_000


def test_a_model_of_eight_billion_fits_one_gpu_of_24_gb_and_not_one_of_16():
    fit = on("ml.g5.xlarge", a_need())

    assert fit.fits
    assert fit.needed_bytes == OVERHEAD_BYTES + LLAMA_8B.weight_bytes + a_need().cache_bytes
    assert fit.needed_bytes < fit.usable_bytes == int(22.5 * GIB * 0.9)
    assert on("ml.g4dn.xlarge", a_need()).misfit is Misfit.WEIGHTS


def test_what_is_left_by_the_weights_says_how_long_texts_may_be():
    fit = on("ml.g5.xlarge", a_need(context_tokens=60_000))

    assert fit.misfit is Misfit.CACHE
    assert on("ml.g5.xlarge", a_need(context_tokens=fit.context_tokens)).fits
    assert on("ml.g5.xlarge", a_need(context_tokens=fit.context_tokens + 1)).misfit is Misfit.CACHE


def test_more_callers_at_once_need_more_cache():
    assert on("ml.g5.xlarge", a_need(concurrency=2)).fits
    assert on("ml.g5.xlarge", a_need(concurrency=8)).misfit is Misfit.CACHE
    assert on("ml.g5.12xlarge", a_need(concurrency=8), 4).fits


def test_weights_that_are_quantised_after_loading_have_to_fit_before():
    facts = LLAMA_8B.changed(weight_bytes=30_000_000_000)

    assert on("ml.g5.xlarge", a_need(facts, quantize="bitsandbytes")).fits
    assert on("ml.g5.xlarge", a_need(facts, quantize="fp8")).misfit is Misfit.WEIGHTS


def test_shares_take_their_part_of_weights_and_cache():
    one, four = on("ml.g5.12xlarge", a_need(), 1), on("ml.g5.12xlarge", a_need(), 4)

    assert four.needed_bytes < one.needed_bytes / 2
    each = (LLAMA_8B.weight_bytes + a_need().cache_bytes) // 4
    assert four.needed_bytes == OVERHEAD_BYTES + OVERHEAD_OF_SHARING_BYTES + each
    assert on("ml.g5.12xlarge", a_need(LLAMA_70B), 4).misfit is Misfit.WEIGHTS
    assert on("ml.g5.48xlarge", a_need(LLAMA_70B), 8).fits


def test_every_share_keeps_at_least_one_head_of_the_cache():
    lone_head = LLAMA_8B.changed(kv_heads=1)
    need = a_need(lone_head)

    assert need.cache_shares(8) == 1
    assert a_need().cache_shares(4) == 4
    assert a_need(QWEN_SMALL).cache_shares(2) == 2


@pytest.mark.parametrize(
    ("facts", "degrees"),
    [
        (LLAMA_8B, (1, 2, 4, 8)),
        (QWEN_SMALL, (1, 2)),  # of 14 heads, 7 would divide them and not the two of the cache
        (LLAMA_8B.changed(attention_heads=40, kv_heads=8), (1, 2, 4, 8)),
        (LLAMA_8B.changed(attention_heads=32, kv_heads=2), (1, 2, 4, 8)),  # copied among four
        (LLAMA_8B.changed(attention_heads=71, kv_heads=1), (1,)),
        (LLAMA_8B.changed(attention_heads=None, kv_heads=None), (1, 2, 4, 8)),
        (quantised(LLAMA_8B, FormatKind.BITSANDBYTES), (1,)),
    ],
)
def test_heads_decide_into_how_many_shares_a_model_goes(facts, degrees):
    assert possible_degrees(a_need(facts), instance_of("ml.g5.48xlarge")) == degrees


@pytest.mark.parametrize(
    ("instance_type", "facts", "degree", "misfit"),
    [
        ("ml.g5.xlarge", LLAMA_8B, 2, Misfit.MORE_THAN_THERE_ARE),
        ("ml.g5.12xlarge", LLAMA_8B, 3, Misfit.DOES_NOT_DIVIDE),
        ("ml.g5.12xlarge", quantised(LLAMA_8B, FormatKind.BITSANDBYTES), 4, Misfit.NOT_SPLIT),
        ("ml.m5.4xlarge", LLAMA_8B, 1, Misfit.ACCELERATOR),
        ("ml.inf2.xlarge", LLAMA_8B, 1, Misfit.ACCELERATOR),
        ("ml.g4dn.12xlarge", quantised(LLAMA_8B, FormatKind.FP8), 4, Misfit.CAPABILITY),
    ],
)
def test_the_first_reason_why_a_model_does_not_fit_is_told(instance_type, facts, degree, misfit):
    fit = on(instance_type, a_need(facts), degree)

    assert fit.misfit is misfit
    assert not fit.fits


def test_the_most_shares_that_fit_are_taken_unless_a_degree_is_asked_for():
    instance = instance_of("ml.g5.12xlarge")

    assert best_fit(instance, a_need()).tensor_parallel_degree == 4
    assert best_fit(instance, a_need(), 2).tensor_parallel_degree == 2
    assert best_fit(instance, a_need(QWEN_SMALL)).tensor_parallel_degree == 2


def test_main_memory_and_chips_of_several_cores_are_measured_too():
    encoder = a_need(BART, context_tokens=0, by_vllm=False, kinds=ALL_KINDS)
    fit = on("ml.c5.large", encoder)

    assert fit.fits
    assert fit.needed_bytes == OVERHEAD_WITHOUT_GPU_BYTES + int(BART.weight_bytes * LOADED_TWICE)
    assert on("ml.c5.large", a_need(LLAMA_8B, kinds=ALL_KINDS)).misfit is Misfit.WEIGHTS
    assert on("ml.inf2.xlarge", a_need(LLAMA_8B, kinds=ALL_KINDS), 2).fits
    assert on("ml.inf2.xlarge", a_need(LLAMA_8B, kinds=ALL_KINDS), 1).misfit is Misfit.WEIGHTS  # 16 GiB for each core


def types(proposals):
    return [each.instance_type for each in proposals]


def test_the_cheapest_that_holds_a_model_is_proposed_for_cost():
    best, *others = propose(a_need(), REGION)

    assert (best.instance_type, best.tensor_parallel_degree) == ("ml.g6.xlarge", 1)
    assert (best.usd_per_hour, best.price_confirmed) == (1.1267, True)
    assert all(each.usd_per_hour >= best.usd_per_hour for each in others)
    assert "the cheapest by the hour" in best.why
    assert "15.0 GiB of weights and 2.0 GiB of cache for 2 × 8192 tokens" in best.why


def test_a_model_of_seventy_billion_goes_to_four_gpus():
    best = propose(a_need(LLAMA_70B), REGION)[0]

    assert str(best).startswith("runs on ml.g6e.12xlarge with tensor parallel 4, $13.12 an hour, because it is the ")
    assert best.usd_per_million_tokens == pytest.approx(13.12 * 1e6 / best.tokens_per_second / 3600, abs=1e-3)


def test_speed_goes_before_price_where_it_is_asked_for():
    cheap, fast, many = (propose(a_need(), REGION, each) for each in OptimizeFor)

    assert fast[0].seconds_per_token == min(each.seconds_per_token for each in fast) < cheap[0].seconds_per_token
    assert many[0].tokens_per_second == max(each.tokens_per_second for each in many) > cheap[0].tokens_per_second
    assert "fastest for one caller" in fast[0].why
    assert "most tokens" in many[0].why


@pytest.mark.parametrize("optimize_for", [OptimizeFor.LATENCY, OptimizeFor.THROUGHPUT])
def test_nobody_who_asks_for_speed_is_sent_to_the_dearest_machine_for_a_small_model(optimize_for):
    cheapest = propose(a_need(QWEN_SMALL), REGION)[0].usd_per_hour

    proposals = propose(a_need(QWEN_SMALL), REGION, optimize_for)

    assert max(each.usd_per_hour for each in proposals) <= DEAREST_RATIO * cheapest
    assert "ml.p5.48xlarge" in types(propose(a_need(LLAMA_70B), REGION, optimize_for))


def measured(instance_type, tokens_per_second, degree=1):
    return Measurement(
        instance_type=instance_type,
        tensor_parallel_degree=degree,
        tokens_per_second=tokens_per_second,
        measured_at=datetime(2026, 11, 28, tzinfo=UTC),
        deployment="llama",
    )


def test_measurements_of_two_change_which_of_them_gives_more():
    measurements = [measured("ml.g5.xlarge", 10), measured("ml.g6.xlarge", 300)]

    estimated = types(propose(a_need(), REGION, OptimizeFor.THROUGHPUT))
    found = types(propose(a_need(), REGION, OptimizeFor.THROUGHPUT, measurements=measurements))

    assert estimated.index("ml.g5.xlarge") < estimated.index("ml.g6.xlarge")
    assert found.index("ml.g6.xlarge") < found.index("ml.g5.xlarge")


@pytest.mark.parametrize("optimize_for", OptimizeFor)
def test_a_measurement_of_one_alone_puts_none_before_another(optimize_for):
    estimated = types(propose(a_need(), REGION, optimize_for))

    assert types(propose(a_need(), REGION, optimize_for, measurements=[measured("ml.g5.xlarge", 3)])) == estimated


def test_a_degree_that_is_asked_for_leaves_those_that_can_have_it():
    proposals = propose(a_need(), REGION, degree=4)

    assert {each.tensor_parallel_degree for each in proposals} == {4}
    assert propose(a_need(), REGION, degree=3) == []


def test_a_region_whose_prices_nobody_published_says_so():
    best = propose(a_need(), "eu-north-1")[0]

    assert not best.price_confirmed
    assert "eu-north-1" in best.price_source


def test_instances_without_gpu_are_proposed_only_where_they_are_asked_for():
    encoder = a_need(BART, context_tokens=0, by_vllm=False, kinds=frozenset({Kind.NVIDIA, Kind.NONE}))

    assert propose(encoder, REGION)[0].instance_type == "ml.c5.large"
    assert propose(encoder, REGION)[0].tokens_per_second is None
    assert not any(each.startswith(("ml.m5", "ml.c5", "ml.inf2")) for each in types(propose(a_need(), REGION)))


def test_no_size_is_told_as_nothing():
    assert [as_size(size) for size in (16 * GIB, GIB / 10, 90 * 2**20, 50 * 2**10)] == [
        *("16.0 GiB", "0.1 GiB", "90.0 MiB", "50.0 KiB"),
    ]


def test_what_fits_nowhere_is_told_what_would_make_it_fit():
    need = a_need(LLAMA_405B)

    assert propose(need, REGION) == []
    told = remedies(need, REGION, is_quantised=False)
    assert "The largest there is is ml.p4de.24xlarge" in told
    assert "quantised to 4 bits (AWQ or GPTQ) it would fit ml.p4d.24xlarge" in told


def test_a_shorter_context_is_a_remedy_where_the_cache_is_too_large():
    need = a_need(LLAMA_70B, context_tokens=1_000_000, concurrency=4)

    told = remedies(need, REGION, is_quantised=True)

    assert "with a context of 250000 tokens it would fit ml.p4de.24xlarge" in told
    assert "quantised" not in told


def test_no_remedy_is_told_that_would_not_help():
    told = remedies(a_need(LLAMA_405B), REGION, is_quantised=True)

    assert told == "The largest there is is ml.p4de.24xlarge (8 × A100 80GB of 80 GiB)."


def test_a_proposal_names_the_next_best():
    proposals = propose(a_need(), REGION)

    told = with_alternatives(proposals[0], proposals)

    assert types(told.alternatives) == types(proposals[1:4])
    assert type(told).model_validate(told.dump()) == told
