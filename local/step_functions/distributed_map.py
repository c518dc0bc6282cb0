"""Map states: batches, tolerated failures, results in S3, and thousands of items without recursion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from local.authorization import Call, RefusedError, Role, require
from local.seams import replace
from local.step_functions.failures import task_failure
from local.step_functions.interpreter import (
    DistributedItemProcessor,
    DistributedItemProcessorWorker,
    DistributedIterationComponent,
    Environment,
    FailureEventException,
    InlineIterationComponent,
    IterationWorker,
    Job,
    JobPool,
    ProgramEnded,
    ProgramError,
    ResultWriterS3,
    StatesErrorNameType,
    json_path,
)
from local.step_functions.map_run import Child, Lot, MapRun

_AT_ONCE = 40
_RUN = "map_run"


def install() -> None:
    """Take over how items become children."""
    replace(InlineIterationComponent, "_eval_body", _bounded)
    replace(IterationWorker, "eval", lambda _: _work_through)
    replace(DistributedIterationComponent, "_map_run", lambda _: _run_map)
    replace(DistributedItemProcessor, "_create_worker", lambda _: _create_worker)
    replace(ResultWriterS3, "_handle_put_object", lambda _: _write_results)


def _bounded(original: Any) -> Any:
    """An inline Map runs at most 40 iterations at once; moto starts a thread for every item."""

    def _eval_body(component: InlineIterationComponent, env: Environment) -> None:
        wanted = env.stack[-1]
        wanted.max_concurrency = min(wanted.max_concurrency or _AT_ONCE, _AT_ONCE, len(wanted.input_items))
        original(component, env)

    return _eval_body


def _work_through(worker: IterationWorker) -> None:
    """Work through an inline Map's items in a loop.

    The gap: moto calls itself for each further item, meets the recursion limit near the thousandth,
    and leaves the execution RUNNING for ever because nobody tells the pool.
    """
    pool, env = worker._job_pool, worker._env
    try:
        frame = env.open_frame()
        job = pool.next_job()
        if job is None:
            env.close_frame(frame)
        while job is not None:
            inner = frame.open_inner_frame()
            worker._eval_job(env=inner, job=job)
            frame.close_frame(inner)
            ended = isinstance(job.job_output, Exception) or worker.stopped()
            following = None if ended else pool.next_job()
            if following is None:
                if not ended:
                    frame.event_history_context.source_event_id = inner.event_history_context.last_published_event_id
                # The frame closes before its last job: the Map goes on when the jobs are done.
                env.close_frame(frame)
            pool.close_job(job)
            job = following
    except Exception as exc:  # noqa: BLE001 - whatever it is, the Map must hear of it or wait for ever
        _give_up(pool, exc)


def _run_map(component: DistributedIterationComponent, env: Environment, eval_input: Any) -> None:
    """Run the children of a distributed Map and leave their outputs on the stack.

    The gap: moto counts failed items and succeeds all the same, and has no ItemBatcher.
    """
    items = env.stack.pop()
    _require_children(env)
    batcher = getattr(component, "item_batcher", None)
    run = MapRun(
        record=eval_input.map_run_record,
        items=len(items),
        tolerated_count=eval_input.tolerated_failure_count,
        tolerated_percentage=eval_input.tolerated_failure_percentage,
        batch_input=_resolved(batcher.get("BatchInput"), env) if batcher else None,
        batched=batcher is not None,
    )
    eval_input.map_run = run
    env.heap[_RUN] = run
    pool = JobPool(component._get_iteration_program(), _lots(items, batcher, env))
    at_once = min(eval_input.map_run_record.max_concurrency or _AT_ONCE, _AT_ONCE, pool._jobs_number)
    for _ in range(at_once):
        component._launch_worker(env=env, eval_input=eval_input, job_pool=pool)
    pool.await_jobs()
    if (error := pool.get_worker_exception()) is not None:
        for frame in list(env._frames):
            frame.set_stop(stop_date=None, cause=None, error=None)
        raise error
    env.stack.append([job.job_output for job in pool.get_closed_jobs()])


def _require_children(env: Environment) -> None:
    """Return if the machine's role may start, follow and stop executions of the machine: its children are such."""
    about = env.states.context_object.context_object_data
    role = Role(env.aws_execution_details.role_arn, "states")
    child = f"{about['StateMachine']['Id'].replace(':stateMachine:', ':execution:')}:{uuid4()}"
    try:
        require(Call.of(role, "states:StartExecution", about["StateMachine"]["Id"]))
        for action in ("states:DescribeExecution", "states:StopExecution"):
            require(Call.of(role, action, child))
    except RefusedError as exc:
        raise task_failure(env, StatesErrorNameType.StatesPermissions, str(exc)) from exc


def _lots(items: list[Any], batcher: Mapping[str, Any] | None, env: Environment) -> list[Lot]:
    """Give what each child gets: one item, or as many as the ItemBatcher allows by number and by bytes."""
    if batcher is None:
        return [[(index, item)] for index, item in enumerate(items)]
    most = batcher.get("MaxItemsPerBatch") or _at(batcher.get("MaxItemsPerBatchPath"), env) or len(items)
    most_bytes = batcher.get("MaxInputBytesPerBatch") or _at(batcher.get("MaxInputBytesPerBatchPath"), env)
    lots: list[Lot] = []
    size = 0
    for index, item in enumerate(items):
        length = len(json.dumps(item))
        full = not lots or len(lots[-1]) >= most or (most_bytes is not None and size + length > most_bytes)
        if full:
            lots.append([])
            size = 0
        lots[-1].append((index, item))
        size += length
    return lots


def _resolved(template: Any, env: Environment) -> Any:
    """Give a BatchInput with its paths into the Map state's input and context filled."""
    if not isinstance(template, dict):
        return template
    return {
        key.removesuffix(".$"): _at(value, env) if key.endswith(".$") else _resolved(value, env)
        for key, value in template.items()
    }


def _at(path: str | None, env: Environment) -> Any:
    if path is None:
        return None
    if path.startswith("$$"):
        return env.states.get_context(path[1:])
    return json_path.extract_json(path, env.states.get_input())


class _ChildWorker(DistributedItemProcessorWorker):  # type: ignore[misc]
    """Runs children one after another until none is left or too many have failed."""

    _run: MapRun

    def eval(self) -> None:
        """Work through the lots."""
        try:
            while (job := self._job_pool.next_job()) is not None:
                frame = self._env.open_inner_frame()
                self._eval_job(env=frame, job=job)
                self._env.delete_frame(frame)
                if self._run.over_threshold():
                    cause = "The specified tolerated failure threshold was exceeded"
                    kind = StatesErrorNameType.StatesExceedToleratedFailureThreshold
                    job.job_output = task_failure(self._env, kind, cause)
                elif not self._env.is_running():
                    job.job_output = RuntimeError("The execution of the Map was stopped.")
                self._job_pool.close_job(job)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the Map must hear of it or wait for ever
            _give_up(self._job_pool, exc)

    def _eval_job(self, env: Environment, job: Job) -> None:
        self._run.begin(job.job_input)
        try:
            child = self._child(env, job)
        except FailureEventException as exc:
            error, cause = exc.extract_error_cause_pair() or (None, None)
            child = Child(job.job_input, error=error or "States.Runtime", cause=cause)
        except Exception as exc:  # noqa: BLE001 - one child's trouble is that child's failure
            child = Child(job.job_input, error="States.Runtime", cause=str(exc))
        job.job_output = child.output
        self._run.end(child)

    def _child(self, env: Environment, job: Job) -> Child:
        """Run one child and give what came of it."""
        selected = [self._selected(env, index, item) for index, item in job.job_input]
        env.states.reset(self._run.child_input(selected))
        told = env.states.get_input()
        job.job_program.eval(env)
        match env.program_state():
            case ProgramEnded():
                return Child(job.job_input, told=told, output=env.states.get_input())
            case ProgramError(error=error):
                about = error or {}
                return Child(job.job_input, told=told, error=about.get("error") or "", cause=about.get("cause"))
            case _:
                return Child(job.job_input, told=told, error="States.Runtime", cause="The child was stopped.")

    def _selected(self, env: Environment, index: int, item: Any) -> Any:
        """Give an item as the ItemSelector makes it."""
        env.states.context_object.context_object_data["Map"] = {"Item": {"Index": index, "Value": item}}
        env.states.reset(item)
        self._eval_input(env_frame=env)
        return env.states.get_input()


def _create_worker(_: DistributedItemProcessor, env: Environment, eval_input: Any, job_pool: JobPool) -> _ChildWorker:
    worker = _ChildWorker(
        work_name=eval_input.state_name,
        job_pool=job_pool,
        env=env,
        item_reader=eval_input.item_reader,
        parameters=eval_input.parameters,
        item_selector=eval_input.item_selector,
        map_run_record=eval_input.map_run_record,
    )
    worker._run = eval_input.map_run
    return worker


def _write_results(env: Environment, resource_runtime_part: Any, state_credentials: Any) -> None:
    """Write the children's results and a manifest to S3 and leave where on the stack; moto writes an empty manifest."""
    where = env.stack.pop()
    env.stack.pop()
    run: MapRun = env.heap[_RUN]
    s3 = ResultWriterS3._get_s3_client(resource_runtime_part, state_credentials)
    prefix = "/".join(part for part in (str(where.get("Prefix") or "").rstrip("/"), run.identifier) if part)
    files: dict[str, list[dict[str, Any]]] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
    for status, results in run.results().items():
        key, body = f"{prefix}/{status}_0.json", json.dumps(results).encode()
        s3.put_object(Bucket=where["Bucket"], Key=key, Body=body)
        files[status].append({"Key": key, "Size": len(body)})
    manifest = {"DestinationBucket": where["Bucket"], "MapRunArn": run.arn, "ResultFiles": files}
    s3.put_object(Bucket=where["Bucket"], Key=f"{prefix}/manifest.json", Body=json.dumps(manifest).encode())
    details = {"Bucket": where["Bucket"], "Key": f"{prefix}/manifest.json"}
    env.stack.append({"MapRunArn": run.arn, "ResultWriterDetails": details})


def _give_up(pool: JobPool, error: Exception) -> None:
    pool._worker_exception = error
    pool._termination_event.set()
