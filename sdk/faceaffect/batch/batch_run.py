"""Plans and executes a batch: which inputs are finished, which are to do, what became of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final, Protocol

from faceaffect.batch.file_task import BatchError, Event, FileResult, Input, TaskSettings
from faceaffect.batch.output_store import FAILED, RUN, OutputStore, read_json
from faceaffect.system.file_identity import identify
from faceaffect.system.path_text import redact_passwords

_VERSION: Final = 1


class Runner(Protocol):
    """Distributes tasks to workers."""

    def run(self, tasks: Sequence[Input]) -> Iterator[Event]:
        """Yield events; each task ends in one FileResult."""
        ...


@dataclass(slots=True)
class Plan:
    """Inputs by state; `failed_before` failed in an earlier run and are not retried."""

    todo: list[Input] = field(default_factory=list)
    finished: list[Input] = field(default_factory=list)
    failed_before: list[FileResult] = field(default_factory=list)


def prepare(
    store: OutputStore,
    settings: TaskSettings,
    run_config: dict[str, str],
    overwrite: bool,
    inputs: list[Input],
) -> None:
    """Record the configuration of the run, or check that it is that of the earlier run.

    Args:
        store: Output folder.
        settings: Settings of the workers.
        run_config: Settings that all runs into one folder must share.
        overwrite: Remove earlier output files and failures of these inputs first.
        inputs: All inputs of the run.

    Raises:
        BatchError: If the folder was filled with another configuration or by something else.
    """
    record = {"version": _VERSION, "run_config": run_config}
    previous = None if overwrite else read_json(store, RUN)
    if overwrite:
        _remove_outputs(store, settings, inputs)
    elif previous is None and (names := store.names()):
        raise BatchError(
            f"{store.root}: contains files of no previous run ({', '.join(sorted(names)[:3])});"
            " choose an empty folder, or use --overwrite to write beside them"
        )
    elif previous is not None and previous != record:
        old = previous.get("run_config", {})
        changes = ", ".join(
            f"{name} was {old.get(name)}, is {run_config.get(name)}"
            for name in sorted({*old, *run_config})
            if old.get(name) != run_config.get(name)
        )
        raise BatchError(
            f"{store.root}: expected the settings of the previous run"
            f" ({changes or 'another release'}); use them, choose another --out, or use --overwrite"
        )
    if previous is None:
        store.write(RUN, json.dumps(record))


def _remove_outputs(store: OutputStore, settings: TaskSettings, inputs: list[Input]) -> None:
    outputs = store.names()
    failures = store.names(FAILED)
    for one in inputs:
        if settings.output_name(one) in outputs:
            store.remove(settings.output_name(one))
            store.remove(settings.side_car_name(one))
        if _failure_name(one.name) in failures:
            store.remove(f"{FAILED}/{_failure_name(one.name)}")


def make_plan(
    store: OutputStore, settings: TaskSettings, inputs: list[Input], retry_failed: bool
) -> Plan:
    """Sort inputs by state.

    Inputs with an output file are finished, unless they are other files since; the others are to
    do, failed and replaced ones only with `retry_failed`.
    """
    outputs = store.names()
    failures = store.names(FAILED)
    identities = store.logged_inputs()
    plan = Plan()
    for one in inputs:
        if settings.output_name(one) in outputs:
            known = identities.get(one.name)
            if known is None or not known.is_replaced_by(identify(one.uri)):
                plan.finished.append(one)
            elif retry_failed:
                plan.todo.append(one)
            else:
                error = (
                    f"{one.uri}: was replaced since {settings.output_name(one)} was written; use"
                    " --retry-failed to analyze it again"
                )
                plan.failed_before.append(FileResult(one.uri, one.name, error=error))
        elif _failure_name(one.name) in failures and not retry_failed:
            failure = read_json(store, f"{FAILED}/{_failure_name(one.name)}") or {}
            error = str(failure.get("error", "")) or f"{one.uri}: failed in an earlier run"
            plan.failed_before.append(FileResult(one.uri, one.name, error=error))
        else:
            plan.todo.append(one)
    return plan


def execute(store: OutputStore, plan: Plan, runner: Runner) -> Iterator[Event]:
    """Run the inputs to do; each failure is recorded before its result is yielded.

    Raises:
        BatchError: If the runner ends without a result for each input.
    """
    if not plan.todo:
        return
    failures = store.names(FAILED)
    missing = {one.name for one in plan.todo}
    with closing(runner.run(plan.todo)) as events:  # type: ignore[type-var]  # a generator
        for event in events:
            if isinstance(event, FileResult):
                name = _failure_name(event.name)
                missing.discard(event.name)
                if event.error:
                    uri, error = redact_passwords(event.uri), redact_passwords(event.error)
                    failure = {"uri": uri, "error": error}
                    store.write(f"{FAILED}/{name}", json.dumps(failure))
                else:
                    store.log_input(event.name, identify(event.uri))
                    if name in failures:
                        store.remove(f"{FAILED}/{name}")
            yield event
    if missing:
        raise BatchError(
            f"{store.root}: expected results of {len(plan.todo)} inputs, {len(missing)} have none"
            f" ({', '.join(sorted(missing)[:3])})"
        )


def _failure_name(name: str) -> str:
    return f"{name}.json"
