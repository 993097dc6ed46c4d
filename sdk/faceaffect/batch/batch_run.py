"""A run over many inputs: what is there already, what is to do, what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final, Protocol

from faceaffect.batch.file_task import BatchError, Event, FileResult, Input, TaskSettings
from faceaffect.batch.output_store import FAILED, RUN, OutputStore, read_json

_VERSION: Final = 1


class Runner(Protocol):
    """Shares out tasks; each ends in one outcome."""

    def run(self, tasks: Sequence[Input]) -> Iterator[Event]: ...


@dataclass(slots=True)
class Plan:
    """`failed_before` are inputs that an earlier run could not read, with what it said, and that
    are not tried again.
    """

    todo: list[Input] = field(default_factory=list)
    finished: list[Input] = field(default_factory=list)
    failed_before: list[FileResult] = field(default_factory=list)


def prepare(
    store: OutputStore,
    settings: TaskSettings,
    stored: dict[str, str],
    overwrite: bool,
    inputs: list[Input],
) -> None:
    """Note what makes the parts, or check that the earlier run was told the same; raises BatchError
    where it was not.

    `overwrite` removes the parts and notes of these inputs first.
    """
    before = None if overwrite else read_json(store, RUN)
    if overwrite:
        _forget(store, settings, inputs)
    elif before is None and store.names():
        raise BatchError(
            f"{store.root}: files are there that no run made ({', '.join(sorted(store.names())[:3])}); choose an empty "
            "folder, or --overwrite to write beside them"
        )
    elif before is not None and before != {"version": _VERSION, "settings": stored}:
        told = before.get("settings", {})
        changed = ", ".join(
            f"{name} was {told.get(name)}, is {stored.get(name)}"
            for name in sorted({*told, *stored})
            if told.get(name) != stored.get(name)
        )
        raise BatchError(
            f"{store.root}: go on with the settings of the run that began it ({changed or 'another release'}), choose "
            "another --out, or --overwrite"
        )
    if before is None:
        store.write(RUN, json.dumps({"version": _VERSION, "settings": stored}))


def _forget(store: OutputStore, settings: TaskSettings, inputs: list[Input]) -> None:
    parts, notes = store.names(), store.names(FAILED)
    for one in inputs:
        if settings.part_name(one) in parts:
            store.remove(settings.part_name(one))
        if _note(one) in notes:
            store.remove(f"{FAILED}/{_note(one)}")


def make_plan(store: OutputStore, settings: TaskSettings, inputs: list[Input], retry: bool) -> Plan:
    """Finished inputs are those whose part is there; the others are to do, failed ones only with
    `retry`.
    """
    parts, notes = store.names(), store.names(FAILED)
    plan = Plan()
    for one in inputs:
        if settings.part_name(one) in parts:
            plan.finished.append(one)
        elif _note(one) in notes and not retry:
            said = (read_json(store, f"{FAILED}/{_note(one)}") or {}).get("error", "")
            plan.failed_before.append(
                FileResult(one.uri, one.name, error=str(said) or f"{one.uri}: failed before")
            )
        else:
            plan.todo.append(one)
    return plan


def execute(store: OutputStore, plan: Plan, runner: Runner) -> Iterator[Event]:
    """Run what is to do; each outcome is noted before it is handed on."""
    if not plan.todo:
        return
    notes = store.names(FAILED)
    with closing(runner.run(plan.todo)) as events:  # type: ignore[type-var]  # a generator
        for event in events:
            if isinstance(event, FileResult):
                name = f"{FAILED}/{event.name}.json"
                if event.error:
                    store.write(name, json.dumps({"uri": event.uri, "error": event.error}))
                elif f"{event.name}.json" in notes:
                    store.remove(name)
            yield event


def _note(one: Input) -> str:
    return f"{one.name}.json"
