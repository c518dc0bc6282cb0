"""The simulated Bedrock keeps the service's contract, as boto3 sees it."""

import io
import json
import urllib.request
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from local import bedrock
from local.checkpoints import write_checkpoint

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/import"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


class HandClock:
    """A clock that the test moves."""

    def __init__(self):
        self.seconds = 1_800_000_000.0

    def timestamp(self):
        return self.seconds

    def sleep(self, simulated_seconds):
        self.seconds += simulated_seconds


class Cloud:
    """The simulated service behind a real server, and what the tests do with it."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.bedrock = self.client("bedrock")
        self.runtime = self.client("bedrock-runtime")
        self.s3 = self.client("s3")
        self.iam = self.client("iam")

    def client(self, service):
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.endpoint, region_name="us-east-1", config=config, **keys)

    def stage(self, checkpoint, prefix="little", without=(), **instead):
        for name in set(checkpoint.files) - set(without):
            body = instead.get(name, (checkpoint.folder / name).read_bytes())
            self.s3.put_object(Bucket="weights", Key=f"{prefix}/{name}", Body=body)

    def start(self, name="little", prefix="little", **changes):
        request = {
            "jobName": f"{name}-job",
            "importedModelName": name,
            "roleArn": ROLE,
            "modelDataSource": {"s3DataSource": {"s3Uri": f"s3://weights/{prefix}/"}},
            **changes,
        }
        return self.bedrock.create_model_import_job(**request)["jobArn"]

    def imported(self, name="little", **changes):
        job = self.start(name, **changes)
        self.clock.sleep(600)
        return self.bedrock.get_model_import_job(jobIdentifier=job)["importedModelArn"]

    def job(self, arn):
        return self.bedrock.get_model_import_job(jobIdentifier=arn)

    def invoke(self, model, **body):
        answer = self.runtime.invoke_model(modelId=model, body=json.dumps(body))
        return json.loads(answer["body"].read())

    def warmed(self, model):
        bedrock.simulation().warm(model)
        return model


@pytest.fixture(scope="module")
def running():
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield Cloud(f"http://{host}:{port}")
    server.stop()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("model"), shard_bytes=60_000)


@pytest.fixture
def cloud(running, checkpoint):
    running.clock = HandClock()
    bedrock.install(running.clock)
    running.iam.create_role(RoleName="import", AssumeRolePolicyDocument=json.dumps(TRUST))
    running.s3.create_bucket(Bucket="weights")
    running.stage(checkpoint)
    yield running
    with urllib.request.urlopen(urllib.request.Request(f"{running.endpoint}/moto-api/reset", method="POST")):
        pass


# ── Import jobs ──────────────────────────────────────────────────────────────────────────────────────────


def test_an_import_takes_its_time_and_makes_a_model(cloud):
    job = cloud.start()
    cloud.clock.sleep(599)
    early = cloud.job(job)
    cloud.clock.sleep(1)
    done = cloud.job("little-job")

    assert (early["status"], done["status"]) == ("InProgress", "Completed")
    assert done["endTime"] - done["creationTime"] == timedelta(seconds=600)
    model = cloud.bedrock.get_imported_model(modelIdentifier=done["importedModelArn"])
    assert (model["modelName"], model["modelArchitecture"], model["instructSupported"]) == (
        "little",
        "llama",
        True,
    )
    assert model["customModelUnits"] == {"customModelUnitsPerModelCopy": 2, "customModelUnitsVersion": "v1.0"}
    assert model["jobArn"] == job


def test_a_larger_checkpoint_takes_longer():
    settings = bedrock.Settings()

    assert settings.import_seconds(36_000_000) == 600
    assert settings.import_seconds(16_000_000_000) == 600
    assert 1800 < settings.import_seconds(141_000_000_000) < 1900


@pytest.mark.parametrize(
    ("field", "value", "constraint"),
    [
        ("importedModelName", "Qwen2.5-7B", "regular expression pattern: ([0-9a-zA-Z][_-]?)+"),
        ("importedModelName", "two--dashes", "regular expression pattern"),
        ("importedModelName", "a" * 64, "length less than or equal to 63"),
        ("jobName", "under_score", "regular expression pattern"),
        ("jobName", "a" + "-" * 60 + "_", "regular expression pattern"),
        ("clientRequestToken", "arn:aws:states:us-east-1:1:execution:a:b", "regular expression pattern"),
        ("roleArn", "import", "regular expression pattern"),
        ("modelDataSource", {"s3DataSource": {"s3Uri": "s3://weights/rev=1/"}}, "regular expression pattern"),
    ],
)
def test_a_name_that_the_service_would_refuse_is_refused(cloud, field, value, constraint):
    with pytest.raises(cloud.bedrock.exceptions.ValidationException, match="1 validation error") as refused:
        cloud.start(**{field: value})

    assert constraint in str(refused.value)
    assert field in str(refused.value)


def test_a_role_that_does_not_exist_or_does_not_trust_bedrock_is_refused(cloud):
    trust = json.dumps(TRUST).replace("bedrock.amazonaws.com", "lambda.amazonaws.com")
    cloud.iam.create_role(RoleName="other", AssumeRolePolicyDocument=trust)

    for name in ("nobody", "other"):
        with pytest.raises(cloud.bedrock.exceptions.ValidationException, match="The provided role ARN is invalid"):
            cloud.start(roleArn=f"arn:aws:iam::{ACCOUNT}:role/{name}")


def test_a_role_made_a_moment_ago_can_be_refused_for_a_while(cloud):
    bedrock.simulation().knobs.refuse_roles = 1

    with pytest.raises(cloud.bedrock.exceptions.ValidationException, match="role ARN is invalid"):
        cloud.start()
    assert cloud.start()


def test_a_repeated_token_gives_the_old_job_even_after_its_model_is_deleted(cloud):
    job = cloud.start(clientRequestToken="once")
    cloud.clock.sleep(600)
    cloud.bedrock.delete_imported_model(modelIdentifier="little")

    again = cloud.start("other", clientRequestToken="once")

    assert again == job
    assert cloud.bedrock.list_imported_models()["modelSummaries"] == []


def test_a_name_in_use_is_refused_and_a_job_s_name_stays_in_use(cloud):
    cloud.imported()
    cloud.bedrock.delete_imported_model(modelIdentifier="little")
    with pytest.raises(cloud.bedrock.exceptions.ValidationException, match="job name is currently in use"):
        cloud.start()

    cloud.imported(jobName="second")
    with pytest.raises(cloud.bedrock.exceptions.ValidationException, match="model name is currently in use"):
        cloud.start(jobName="third")


def test_the_refusal_of_a_name_can_be_a_conflict(cloud):
    bedrock.simulation().settings.name_in_use_error = "ConflictException"
    cloud.imported()

    with pytest.raises(cloud.bedrock.exceptions.ConflictException):
        cloud.start()


def test_a_second_job_at_once_and_a_fourth_model_exceed_the_quotas(cloud):
    cloud.start("one")
    with pytest.raises(cloud.bedrock.exceptions.ServiceQuotaExceededException, match="in progress"):
        cloud.start("two")

    cloud.clock.sleep(600)
    cloud.imported("two")
    cloud.imported("three")
    with pytest.raises(cloud.bedrock.exceptions.ServiceQuotaExceededException, match="3 imported models"):
        cloud.start("four")
    cloud.bedrock.delete_imported_model(modelIdentifier="one")
    assert cloud.start("four")


def test_jobs_are_listed_by_status_and_name_and_in_pages(cloud):
    for name in ("alpha", "beta", "gamma"):
        cloud.imported(name)
        cloud.bedrock.delete_imported_model(modelIdentifier=name)
    cloud.start("delta")
    summaries = "modelImportJobSummaries"

    pages = cloud.bedrock.get_paginator("list_model_import_jobs").paginate(PaginationConfig={"PageSize": 3})
    names = [[job["jobName"] for job in page[summaries]] for page in pages]
    done = cloud.bedrock.list_model_import_jobs(statusEquals="Completed", sortOrder="Ascending")[summaries]
    named = cloud.bedrock.list_model_import_jobs(nameContains="elt")[summaries]

    assert names == [["delta-job", "gamma-job", "beta-job"], ["alpha-job"]]
    assert [job["importedModelName"] for job in done] == ["alpha", "beta", "gamma"]
    assert [job["status"] for job in named] == ["InProgress"]


def test_an_unknown_job_is_not_found(cloud):
    with pytest.raises(cloud.bedrock.exceptions.ResourceNotFoundException):
        cloud.job("nothing")


# ── What cannot be imported ──────────────────────────────────────────────────────────────────────────────


def _failure(cloud, prefix):
    job = cloud.start(prefix=prefix)
    cloud.clock.sleep(60)
    described = cloud.job(job)
    assert described["status"] == "Failed"
    assert "importedModelArn" not in described
    return described["failureMessage"]


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        ({"architecture": "falcon"}, "does not support the architecture (falcon)"),
        ({"quantised": True}, "Quantized models are not supported"),
        ({"max_position_embeddings": 1_048_576}, "context length 1048576"),
        ({"pickle_only": True}, "safetensors format"),
        ({"with_tokenizer": False}, "tokenizer.json was not found"),
        ({"missing_shard": True}, "weights-c.safetensors"),
    ],
)
def test_a_checkpoint_that_is_not_supported_fails_its_job_and_says_why(cloud, tmp_path, variant, reason):
    cloud.stage(write_checkpoint(tmp_path, shard_bytes=30_000, **variant), prefix="bad")

    assert reason in _failure(cloud, "bad")


def test_a_cut_shard_and_a_broken_configuration_fail_their_jobs(cloud, checkpoint):
    name = checkpoint.weights[0]
    cloud.stage(checkpoint, prefix="cut", **{name: (checkpoint.folder / name).read_bytes()[:-1]})
    cloud.stage(checkpoint, prefix="broken", **{"config.json": b"{"})
    cloud.stage(checkpoint, prefix="noise", **{name: b"\xff" * 100})

    assert "its header says" in _failure(cloud, "cut")
    for prefix, reason in (("broken", "not valid JSON"), ("noise", "not a valid safetensors file")):
        job = cloud.start(prefix, prefix=prefix)
        cloud.clock.sleep(60)
        assert reason in cloud.job(job)["failureMessage"]


def test_an_empty_prefix_and_a_missing_bucket_fail_their_jobs(cloud):
    assert "No files were found" in _failure(cloud, "nothing")
    source = {"s3DataSource": {"s3Uri": "s3://no-such-bucket/x/"}}
    job = cloud.start("other", modelDataSource=source)
    cloud.clock.sleep(60)

    assert "bucket does not exist" in cloud.job(job)["failureMessage"]


def test_a_failure_is_not_told_before_the_service_has_looked(cloud):
    job = cloud.start(prefix="nothing")
    cloud.clock.sleep(59)
    early = cloud.job(job)
    cloud.clock.sleep(1)

    assert early["status"] == "InProgress"
    assert "failureMessage" not in early
    assert cloud.job(job)["status"] == "Failed"


def test_an_import_can_be_made_to_fail_or_to_hang(cloud):
    bedrock.simulation().knobs.fail_next_import = "Internal error"
    assert _failure(cloud, "little") == "Internal error"

    bedrock.simulation().knobs.stick_next_import = True
    stuck = cloud.start("stuck")
    cloud.clock.sleep(1_000_000)
    assert cloud.job(stuck)["status"] == "InProgress"


# ── Models, tags and quotas ──────────────────────────────────────────────────────────────────────────────


def test_models_are_listed_found_by_name_and_deleted_by_arn(cloud):
    little, other = cloud.imported(), cloud.imported("other")

    listed = cloud.bedrock.list_imported_models(nameContains="lit")["modelSummaries"]
    by_name = cloud.bedrock.get_imported_model(modelIdentifier="other")
    cloud.bedrock.delete_imported_model(modelIdentifier=other)

    assert [model["modelArn"] for model in listed] == [little]
    assert by_name["modelArn"] == other
    with pytest.raises(cloud.bedrock.exceptions.ResourceNotFoundException):
        cloud.bedrock.get_imported_model(modelIdentifier="other")
    with pytest.raises(cloud.bedrock.exceptions.ResourceNotFoundException):
        cloud.bedrock.delete_imported_model(modelIdentifier=other)


def test_models_and_jobs_carry_their_own_tags(cloud):
    tags = [{"key": "pilotlight:deployment", "value": "little"}]
    model = cloud.imported(importedModelTags=tags, jobTags=[{"key": "of", "value": "job"}])
    job = cloud.job("little-job")["jobArn"]

    cloud.bedrock.tag_resource(resourceARN=model, tags=[{"key": "more", "value": "1"}])
    cloud.bedrock.untag_resource(resourceARN=job, tagKeys=["of"])

    assert cloud.bedrock.list_tags_for_resource(resourceARN=model)["tags"] == [
        *tags,
        {"key": "more", "value": "1"},
    ]
    assert cloud.bedrock.list_tags_for_resource(resourceARN=job)["tags"] == []


def test_the_quotas_are_those_of_the_service_and_other_services_keep_theirs(cloud):
    quotas = cloud.client("service-quotas")

    models = quotas.get_service_quota(ServiceCode="bedrock", QuotaCode="L-45B04988")["Quota"]
    jobs = quotas.get_service_quota(ServiceCode="bedrock", QuotaCode="L-5F098EFA")["Quota"]
    listed = quotas.list_service_quotas(ServiceCode="bedrock")["Quotas"]

    assert (models["Value"], models["Adjustable"]) == (3, True)
    assert (jobs["Value"], jobs["Adjustable"]) == (1, False)
    assert [quota["QuotaCode"] for quota in listed] == ["L-45B04988", "L-5F098EFA"]
    assert quotas.list_aws_default_service_quotas(ServiceCode="vpc")["Quotas"]
    with pytest.raises(quotas.exceptions.NoSuchResourceException):
        quotas.get_service_quota(ServiceCode="bedrock", QuotaCode="L-00000000")


def test_moto_s_own_custom_models_go_on_working_tags_included(cloud):
    job = cloud.bedrock.create_model_customization_job(
        jobName="tune",
        customModelName="tuned",
        roleArn=ROLE,
        baseModelIdentifier="amazon.titan-text-express-v1",
        trainingDataConfig={"s3Uri": "s3://weights/data.jsonl"},
        outputDataConfig={"s3Uri": "s3://weights/out"},
        hyperParameters={"epochs": "1"},
    )["jobArn"]
    cloud.bedrock.tag_resource(resourceARN=job, tags=[{"key": "a", "value": "b"}])

    assert cloud.bedrock.get_model_customization_job(jobIdentifier="tune")["jobArn"] == job
    assert cloud.bedrock.list_tags_for_resource(resourceARN=job)["tags"] == [{"key": "a", "value": "b"}]


# ── Warm and cold ────────────────────────────────────────────────────────────────────────────────────────


def test_a_fresh_model_is_cold_and_its_first_call_starts_the_loading(cloud):
    model = cloud.imported()
    cloud.clock.sleep(1000)

    with pytest.raises(cloud.runtime.exceptions.ModelNotReadyException, match="not ready") as cold:
        cloud.invoke(model, prompt="hello")
    cloud.clock.sleep(95)
    with pytest.raises(cloud.runtime.exceptions.ModelNotReadyException):
        cloud.invoke(model, prompt="hello")
    cloud.clock.sleep(1)

    assert cold.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert cloud.invoke(model, prompt="hello")["generation"].startswith("[simulated]")


def test_a_model_that_idles_is_evicted_and_one_in_use_is_not(cloud):
    model = cloud.warmed(cloud.imported())
    for _ in range(3):
        cloud.invoke(model, prompt="hello", max_gen_len=1)
        cloud.clock.sleep(290)
    cloud.invoke(model, prompt="hello", max_gen_len=1)
    cloud.clock.sleep(301)

    assert not bedrock.simulation().is_warm(model)
    with pytest.raises(cloud.runtime.exceptions.ModelNotReadyException):
        cloud.invoke(model, prompt="hello")


def test_a_model_that_loaded_for_nobody_is_evicted_too(cloud):
    model = cloud.imported()
    with pytest.raises(cloud.runtime.exceptions.ModelNotReadyException):
        cloud.invoke(model, prompt="hello")
    cloud.clock.sleep(96 + 301)

    with pytest.raises(cloud.runtime.exceptions.ModelNotReadyException):
        cloud.invoke(model, prompt="hello")


def test_windows_are_billed_from_the_first_successful_call_and_survive_the_model(cloud):
    model = cloud.warmed(cloud.imported())
    assert bedrock.simulation().windows() == []

    cloud.invoke(model, prompt="hello", max_gen_len=1)
    cloud.clock.sleep(200)
    cloud.invoke(model, prompt="hello", max_gen_len=1)
    one = len(bedrock.simulation().windows())
    cloud.clock.sleep(200)
    cloud.invoke(model, prompt="hello", max_gen_len=1)
    cloud.bedrock.delete_imported_model(modelIdentifier=model)

    windows = bedrock.simulation().windows()
    assert (one, len(windows)) == (1, 2)
    assert windows[1].start == windows[0].end == windows[0].start + 300


def test_whether_the_idle_window_is_billed_is_a_setting(cloud):
    bedrock.simulation().settings.bills_idle_window = True
    model = cloud.warmed(cloud.imported())

    cloud.invoke(model, prompt="hello", max_gen_len=1)

    assert len(bedrock.simulation().windows()) == 2


def test_a_model_can_be_made_never_to_get_ready(cloud):
    bedrock.simulation().knobs.never_ready = True
    model = cloud.imported()

    for _ in range(5):
        with pytest.raises(cloud.runtime.exceptions.ModelNotReadyException):
            cloud.invoke(model, prompt="hello")
        cloud.clock.sleep(96)


def test_calls_can_be_throttled(cloud):
    model = cloud.warmed(cloud.imported())
    bedrock.simulation().knobs.throttle_calls = 1

    with pytest.raises(cloud.runtime.exceptions.ThrottlingException) as throttled:
        cloud.invoke(model, prompt="hello")

    assert throttled.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert cloud.invoke(model, prompt="hello")


@pytest.mark.parametrize(
    ("name", "status"),
    [("ServiceUnavailableException", 503), ("ModelTimeoutException", 408), ("ModelErrorException", 424)],
)
def test_calls_can_fail_in_every_way_that_the_service_knows(cloud, name, status):
    model = cloud.warmed(cloud.imported())
    bedrock.simulation().knobs.fail_calls = [name]

    with pytest.raises(getattr(cloud.runtime.exceptions, name)) as failed:
        cloud.invoke(model, prompt="hello")

    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert cloud.invoke(model, prompt="hello")


def test_a_deleted_model_is_not_found(cloud):
    model = cloud.imported()
    cloud.bedrock.delete_imported_model(modelIdentifier=model)

    with pytest.raises(cloud.runtime.exceptions.ResourceNotFoundException):
        cloud.invoke(model, prompt="hello")


# ── Requests and answers ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def model(cloud):
    return cloud.warmed(cloud.imported())


def test_a_prompt_with_max_gen_len_is_answered_as_bedrock_does(cloud, model):
    answer = cloud.invoke(model, prompt="What is a llama?", max_gen_len=400, temperature=0.1, nonsense=1)

    assert set(answer) == {"generation", "prompt_token_count", "generation_token_count", "stop_reason"}
    assert answer["stop_reason"] == "stop"
    assert "What is a llama?" in answer["generation"]


def test_the_counts_stand_in_the_headers_too(cloud, model):
    answer = cloud.runtime.invoke_model(modelId=model, body=b'{"prompt": "hello", "max_gen_len": 6}')

    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amzn-bedrock-input-token-count"] == "1"
    assert headers["x-amzn-bedrock-output-token-count"] == "6"
    answer["body"].close()


def test_a_model_is_invoked_by_its_arn_and_not_by_its_name(cloud, model):
    with pytest.raises(cloud.runtime.exceptions.ValidationException, match="model identifier is invalid"):
        cloud.invoke("little", prompt="hello")


def test_a_prompt_with_max_tokens_is_answered_as_a_completion(cloud, model):
    answer = cloud.invoke(model, prompt="What is a llama?", max_tokens=7)

    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 7
    assert answer["usage"]["total_tokens"] == 7 + answer["usage"]["prompt_tokens"]


def test_messages_are_answered_as_a_chat_with_reasoning_where_the_template_opens_it(cloud, model):
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is a llama?"}]}]
    answer = cloud.invoke(model, messages=messages, max_tokens=400)

    message = answer["choices"][0]["message"]
    reasoning, _, text = message["content"].partition("</think>")
    assert (answer["object"], message["role"]) == ("chat.completion", "assistant")
    assert reasoning.startswith("[simulated]")
    assert text.strip().startswith("[simulated]")


@pytest.mark.parametrize(
    ("ending", "opening"),
    [("<think>\n", "[simulated]"), ("", "<think>\n[simulated]")],
)
def test_a_deepseek_prompt_is_answered_with_reasoning_before_the_answer(cloud, model, ending, opening):
    prompt = f"<｜begin▁of▁sentence｜>Be brief.<｜User｜>What is 2+2?<｜Assistant｜>{ending}"

    text = cloud.invoke(model, prompt=prompt, max_gen_len=400)["generation"]

    assert text.startswith(opening)
    assert "What is 2+2?" in text
    assert text.count("</think>\n\n[simulated]") == 1


def test_a_stop_mark_ends_the_text_before_it(cloud, model):
    whole = cloud.invoke(model, prompt="hello", max_gen_len=400)["generation"]
    stopped = cloud.invoke(model, prompt="hello", max_gen_len=400, stop=["asked"])

    assert stopped["generation"] == whole.partition("asked")[0]
    assert stopped["stop_reason"] == "stop"


def test_the_same_prompt_and_seed_give_the_same_text(cloud, model):
    texts = [cloud.invoke(model, prompt="hello", seed=seed)["generation"] for seed in (1, 1, 2)]

    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"prompt": "x", "max_gen_len": 0}', b'{"messages": [1]}'])
def test_a_malformed_body_is_refused(cloud, model, body):
    with pytest.raises(cloud.runtime.exceptions.ValidationException, match="Malformed input request"):
        cloud.runtime.invoke_model(modelId=model, body=body)


def test_a_body_beyond_the_limit_is_refused(cloud, model):
    with pytest.raises(cloud.runtime.exceptions.ValidationException, match="25000000"):
        cloud.runtime.invoke_model(modelId=model, body=io.BytesIO(b" " * 25_000_001))


def test_the_first_answer_after_a_cold_start_can_lack_its_text(cloud, model):
    bedrock.simulation().knobs.hollow_first_answer = True

    first, second = cloud.invoke(model, prompt="hello"), cloud.invoke(model, prompt="hello")

    assert "generation" not in first
    assert "generation" in second


def test_a_longer_text_takes_longer(cloud, model):
    times = []
    for limit in (6, 30):
        before = cloud.clock.seconds
        cloud.invoke(model, prompt="hello", max_gen_len=limit)
        times.append(cloud.clock.seconds - before)

    assert times == pytest.approx([0.5, 0.9])


def test_a_streamed_answer_is_the_answer_in_pieces(cloud, model):
    whole = cloud.invoke(model, prompt="hello", max_gen_len=20)
    body = json.dumps({"prompt": "hello", "max_gen_len": 20})

    stream = cloud.runtime.invoke_model_with_response_stream(modelId=model, body=body)["body"]
    pieces = [json.loads(event["chunk"]["bytes"]) for event in stream]

    assert "".join(piece["generation"] for piece in pieces) == whole["generation"]
    assert pieces[-1]["stop_reason"] == "length"
    assert pieces[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == 20


def test_each_invocation_is_measured_under_the_model_s_arn(cloud, model):
    cloud.invoke(model, prompt="hello", max_gen_len=6)
    cloud.invoke(model, prompt="hello", max_gen_len=6)
    now = datetime.fromtimestamp(cloud.clock.seconds, UTC)

    def total(name):
        found = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Bedrock",
            MetricName=name,
            Dimensions=[{"Name": "ModelId", "Value": model}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=3600,
            Statistics=["Sum"],
        )
        return sum(point["Sum"] for point in found["Datapoints"])

    assert (total("Invocations"), total("OutputTokenCount"), total("InputTokenCount")) == (2, 12, 2)
    assert total("InvocationLatency") == pytest.approx(1000)


def test_the_correlation_of_each_call_is_on_record(cloud, model):
    def add(request, **_):
        request.headers["X-Pilotlight-Correlation-Id"] = "abc"

    client = cloud.client("bedrock-runtime")
    client.meta.events.register("before-sign.bedrock-runtime.InvokeModel", add)
    client.invoke_model(modelId=model, body=b'{"prompt": "hello"}')

    assert bedrock.simulation().correlation_ids == ["abc"]


def test_reset_leaves_an_empty_service_with_its_usual_settings(cloud, model):
    bedrock.simulation().settings.imported_models = 99

    bedrock.reset()

    assert cloud.bedrock.list_imported_models()["modelSummaries"] == []
    assert bedrock.simulation().settings == bedrock.Settings()
