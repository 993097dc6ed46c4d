"""Dockerfiles and the systemd unit: instructions, good practice, and names that exist."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from faceaffect.backends.engine_cache import CACHE_VARIABLE
from faceaffect.cli.command_line import faceaffect

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("Dockerfile.*"))
INSTRUCTIONS = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "FROM", "RUN", "USER", "VOLUME"}
INSTRUCTIONS |= {"WORKDIR"}


def instructions(text: str) -> list[tuple[str, str]]:
    """Instructions with their arguments; continued lines are joined, comments removed."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    parsed = []
    for line in filter(str.strip, joined.splitlines()):
        name, _, argument = line.strip().partition(" ")
        parsed.append((name, " ".join(argument.split())))
    return parsed


APT_RULES = ("apt-get update", "-y", "--no-install-recommends", "rm -rf /var/lib/apt")


def problems_of_run(command: str) -> list[str]:
    found = []
    done = subprocess.run(["sh", "-n"], input=command, text=True, capture_output=True, check=False)
    if done.returncode:
        found.append(f"shell syntax: {done.stderr.strip()}")
    if "apt-get install" in command:
        found += [f"apt-get install without {rule}" for rule in APT_RULES if rule not in command]
    if "pip install" in command and "--no-cache-dir" not in command:
        found.append("pip install without --no-cache-dir")
    if re.search(r"\bcd |\bsudo\b", command):
        found.append("cd or sudo in RUN")
    return found


def problems_of_copy(argument: str, stages: set[str]) -> list[str]:
    origin = re.match(r"--from=(\w+)", argument)
    if origin:
        known = origin.group(1) in stages
        return [] if known else [f"COPY from an unknown stage {origin.group(1)}"]
    exists = all((ROOT / path).exists() for path in argument.split()[:-1])
    return [] if exists else [f"COPY of a missing file: {argument}"]


def problems_of_image(argument: str) -> list[str]:
    if ":latest" in argument:
        return [f"image with the tag latest: {argument}"]
    has_tag = re.search(r":[\w.-]+( AS \w+)?$", argument)
    return [] if has_tag else [f"image without a tag: {argument}"]


def problems(text: str) -> list[str]:
    """Violations of the rules that matter here, as hadolint would report them."""
    steps = instructions(text)
    stages = {argument.split()[-1] for name, argument in steps if name == "FROM"}
    found = [f"unknown instruction {name}" for name, _ in steps if name not in INSTRUCTIONS]
    if not steps or steps[0][0] not in ("FROM", "ARG"):
        found.append("the first instruction must be FROM or ARG")
    for name, argument in steps:
        if name == "FROM":
            found += problems_of_image(argument)
        elif name == "RUN":
            found += problems_of_run(argument)
        elif name == "COPY":
            found += problems_of_copy(argument, stages)
        elif name in ("CMD", "ENTRYPOINT") and not argument.startswith("["):
            found.append(f"{name} in shell form")
        elif name == "WORKDIR" and not argument.startswith("/"):
            found.append("relative WORKDIR")
    users = [argument for name, argument in steps if name == "USER"]
    if not users or users[-1] == "root":
        found.append("the container runs as root")
    return found


def test_dockerfiles_exist_for_both_jetpacks_and_cuda() -> None:
    assert [path.suffix for path in DOCKERFILES] == [".cuda", ".jetpack6", ".jetpack7"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.suffix)
def test_dockerfile_follows_the_rules(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert problems(text) == []
    for script in re.findall(r"python (docker/\S+\.py)", text):
        assert (ROOT / script).is_file()
    build = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for variable in re.findall(r"(FACEAFFECT_\w+)=", text):
        assert variable == CACHE_VARIABLE or f'"{variable}"' in build or variable in build, variable
    extras = re.findall(r'"\.\[(\w+)\]"', text)
    assert all(f"\n{extra} = [" in build for extra in extras)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("FROM ubuntu", "image without a tag: ubuntu"),
        ("RUN apt-get install -y curl", "apt-get install without apt-get update"),
        ("RUN pip install .", "pip install without --no-cache-dir"),
        ("RUN if true; then echo", "shell syntax"),
        ("COPY missing.txt /src", "COPY of a missing file: missing.txt /src"),
        ("COPY --from=build /a /a", "COPY from an unknown stage build"),
        ("USER root", "the container runs as root"),
        ("ADDD . .", "unknown instruction ADDD"),
    ],
)
def test_problems_finds_planted_fault(line: str, problem: str) -> None:
    text = f"FROM ubuntu:24.04\nUSER affect\n{line}\n"
    assert any(found.startswith(problem) for found in problems(text)), problems(text)


def test_systemd_unit_restarts_and_calls_existing_options() -> None:
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    text = (DOCKER / "faceaffect.service").read_text(encoding="utf-8")
    text = re.sub(r"^Environment=.*\n", "", text, flags=re.MULTILINE)  # may occur several times
    parser.read_string(text)
    service = parser["Service"]
    assert (service["Type"], service["Restart"]) == ("notify", "always")
    assert int(service["WatchdogSec"]) > 10
    shell = shlex.split(service["ExecStart"])
    assert shell[:2] == ["/bin/sh", "-c"]
    assert shell[2].startswith("exec "), "systemd must see the process itself"
    words = shlex.split(shell[2].removeprefix("exec ").replace("%%", "%"))
    assert Path(words[0]).name == "faceaffect"
    usage = CliRunner().invoke(faceaffect, [words[1], "--help"])
    assert usage.exit_code == 0
    for option in (word for word in words if word.startswith("--")):
        assert option in usage.output, option
