"""Options from variables and files, help in sections, and completion."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from faceaffect.cli.command_line import faceaffect as group
from faceaffect.cli.signals import FAILURE, INTERRUPTED, PARTIAL, TERMINATED
from tests.sdk.cli.conftest import Run

COMMANDS = {
    name: command
    for name, command in group.commands.items()
    if not isinstance(command, click.Group)
}


def options_of_analyze(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict[str, object]:
    """The options that `analyze` would run with."""
    seen: dict[str, object] = {}
    monkeypatch.setattr(group.commands["analyze"], "callback", lambda **given: seen.update(given))
    group.main([*arguments], prog_name="faceaffect", standalone_mode=False)
    return seen


def test_typed_options_override_variables_and_those_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert options_of_analyze(monkeypatch, "analyze", "a.mp4")["max_faces"] == 8
    Path("faceaffect.toml").write_text(
        "[analyze]\nmax-faces = 3\nmin_face_size = 40\nno-smoothing = true\n"
        'columns = ["landmarks"]\n'
    )
    given = options_of_analyze(monkeypatch, "analyze", "a.mp4")
    assert (given["max_faces"], given["min_face_size"], given["no_smoothing"]) == (3, 40, True)
    assert given["columns"] == ("landmarks",)
    monkeypatch.setenv("FACEAFFECT_ANALYZE_MAX_FACES", "5")
    assert options_of_analyze(monkeypatch, "analyze", "a.mp4")["max_faces"] == 5
    given = options_of_analyze(monkeypatch, "analyze", "a.mp4", "--max-faces", "7")
    assert given["max_faces"] == 7


def test_config_names_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("faceaffect.toml").write_text("[analyze]\nmax-faces = 3\n")
    Path("mine.toml").write_text(
        "[analyze]\nmax-faces = 4\n[models.show]\n[bench]\nmodel = ['a']\n"
    )
    given = options_of_analyze(monkeypatch, "--config", "mine.toml", "analyze", "a.mp4")
    assert given["max_faces"] == 4
    assert "note" not in capsys.readouterr().err
    monkeypatch.setenv("FACEAFFECT_CONFIG", "mine.toml")
    assert options_of_analyze(monkeypatch, "analyze", "a.mp4")["max_faces"] == 4
    monkeypatch.delenv("FACEAFFECT_CONFIG")
    given = options_of_analyze(monkeypatch, "--config", os.devnull, "analyze", "a.mp4")
    assert given["max_faces"] == 8, "no file is read"
    options_of_analyze(monkeypatch, "analyze", "a.mp4")
    assert "options from faceaffect.toml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[analyzer]\n",
            "[export], [live], [models], [report], [serve], [summarize], got the table [analyzer]",
        ),
        ("max-faces = 3\n", "got the key max-faces"),
        ("[analyze]\nmax-face = 3\n", "got max-face; did you mean max-faces?"),
        ("[analyze]\nsources = ['a']\n", "got sources"),
        ("[analyze\n", "expected TOML"),
        ("[analyze]\nmax-faces = 'many'\n", "'many' is not a valid integer range. (from faceaff"),
    ],
)
def test_odd_files_of_options_are_explained(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
    capsys: pytest.CaptureFixture[str],
    text: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("faceaffect.toml").write_text(text)
    assert run("analyze", "a.mp4") == 2
    assert message in capsys.readouterr().err


def test_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FACEAFFECT_ANALYZE_MAX_FACES", "many")
    assert run("analyze", "a.mp4") == 2
    assert "from the variable FACEAFFECT_ANALYZE_MAX_FACES" in capsys.readouterr().err
    assert run("analyze", "a.mp4", "--max-faces", "x") == 2
    assert "variable" not in capsys.readouterr().err


@pytest.mark.parametrize("name", [*COMMANDS, ""])
def test_help_lists_every_option_once(name: str) -> None:
    command = COMMANDS.get(name, group)
    text = CliRunner().invoke(group, [name, "--help"] if name else ["--help"]).output
    assert "\x1b" not in text
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            option = max(parameter.opts, key=len)
            lines = [line for line in text.splitlines() if f"{option} " in f"{line} "]
            assert [line for line in lines if line.startswith("  -")], option
    if name:
        assert ("Examples:" in text) or name in ("doctor", "completion", "build-engine")


def test_help_of_analyze_is_in_sections() -> None:
    text = CliRunner().invoke(group, ["analyze", "--help"]).output
    titles = [
        "Output:",
        "Model:",
        "Faces:",
        "Input:",
        "Many inputs:",
        "Other options:",
        "Examples:",
    ]
    positions = [text.index(f"\n{title}\n") for title in [*titles, "Exit codes:"]]
    assert positions == sorted(positions)
    assert text.index("--overlay") < positions[1] < text.index("--backend") < positions[2]


def test_exit_codes_are_documented() -> None:
    codes = {str(code) for code in (0, FAILURE, click.UsageError.exit_code, PARTIAL)}
    codes |= {str(INTERRUPTED), str(TERMINATED)}
    page = (Path(__file__).parents[3] / "docs" / "command_line.md").read_text(encoding="utf-8")
    table = page.partition("## Exit codes")[2]
    assert set(re.findall(r"^\| (\d+) \|", table, re.M)) == codes
    for command in (["--help"], ["analyze", "--help"]):
        line = CliRunner().invoke(group, command).output.partition("Exit codes:\n")[2]
        assert set(re.findall(r"\d+", line)) == codes, command


def test_help_of_columns_names_every_group() -> None:
    from faceaffect.sinks.columns import ALL_GROUPS, COLUMN_GROUPS

    text = " ".join(CliRunner().invoke(group, ["analyze", "--help"]).output.split())
    about = text[text.index("--columns") :].partition("[default")[0]
    assert [name for name in (*COLUMN_GROUPS, ALL_GROUPS) if name not in about] == []


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ("landmarks,lips", "some of default, landmarks, eyes, intensity or all, got lips"),
        ("gaze", "got gaze; no model predicts it"),
        ("gaze,pose3d", "got gaze, pose3d; no model predicts it"),
        ("gaze,lips", "got gaze, lips"),
    ],
)
def test_unknown_columns_are_refused_before_anything_is_written(
    tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str], groups: str, message: str
) -> None:
    assert run("analyze", "a.mp4", "--columns", groups, "--out", tmp_path / "rows.csv") == 2
    error = capsys.readouterr().err
    assert "'--columns'" in error
    assert message in error
    assert ("no model" in error) == ("no model" in message)
    assert list(tmp_path.iterdir()) == []


def test_help_is_colored_in_terminals_unless_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = CliRunner().invoke(group, ["analyze", "--help"], color=True).output
    assert "\x1b[36m--overlay\x1b[0m" in text
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in CliRunner().invoke(group, ["analyze", "--help"], color=True).output


def test_lines_of_help_fit_into_100_columns() -> None:
    for name in COMMANDS:
        text = CliRunner().invoke(group, [name, "--help"], terminal_width=80).output
        assert [line for line in text.splitlines() if len(line) > 100] == []


COMPLETE_IN = {
    "bash": """
eval "$(faceaffect completion bash)"
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_faceaffect_completion faceaffect
printf '%s\\n' "${{COMPREPLY[@]}}"
""",
    # Outside of the line editor: what the script hands to zsh's completion is printed.
    "zsh": """
compdef() {{ }}
_describe() {{ print -l -- "${{(P@)3}}" }}
compadd() {{ print -l -- "${{(P@)@[-1]}}" }}
eval "$(faceaffect completion zsh)"
words=({words}); CURRENT=${{#words}}
_faceaffect_completion
""",
    "fish": """
faceaffect completion fish | source
complete -C "{words}"
""",
}
"""Scripts that print what a shell offers after words, a line each, with the printed one loaded."""


@pytest.mark.parametrize("shell", COMPLETE_IN)
def test_shell_completes_commands_options_and_choices(tmp_path: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    program = tmp_path / "faceaffect"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m faceaffect "$@"\n')
    program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),  # no settings of whoever runs the tests
        "XDG_CONFIG_HOME": str(tmp_path),
    }

    def offered(words: str) -> list[str]:
        done = subprocess.run(
            [shell, "-c", COMPLETE_IN[shell].format(words=words)],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        # Zsh and fish show a help text beside each word, after a colon or a tab.
        return [re.split(r"[:\t]", line)[0] for line in done.stdout.splitlines()]

    assert offered("faceaffect an") == ["analyze"]
    assert offered("faceaffect analyze --max") == ["--max-faces", "--max-pixels"]
    assert offered("faceaffect export --to e") == ["elan"]
    assert "--token-file" in offered("faceaffect serve --t")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script_that_asks_the_program(
    run: Run, capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    assert run("completion", shell) == 0
    script = capsys.readouterr().out
    assert f"_FACEAFFECT_COMPLETE={shell}_complete" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n", "-c", script], check=True)
    environment = {
        **os.environ,
        "_FACEAFFECT_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": "faceaffect su",
        "COMP_CWORD": "su" if shell == "fish" else "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "faceaffect"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert "summarize" in done.stdout
