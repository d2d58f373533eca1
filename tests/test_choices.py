"""A choice that does not exist is refused, by the template or, before that loads, by the engine."""

from pathlib import Path

import pytest
from baked import BakedProject
from command_line import ANSWERS, Way, refuse, render
from conftest import CHOICES, QUESTIONS, Bake
from cookiecutter.exceptions import FailedHookException


@pytest.mark.parametrize("question", CHOICES)
def test_every_choice_has_a_label(question: str) -> None:
    """Nobody has to guess what a choice means."""
    labels = QUESTIONS["__prompts__"][question]
    assert set(labels) == {"__prompt__", *CHOICES[question]}
    assert not any("[" in label for label in labels.values()), "rich would take it for markup"


def test_every_question_has_a_prompt() -> None:
    """People are asked in sentences, not in variable names."""
    asked = [question for question in QUESTIONS if not question.startswith("_")]
    assert list(QUESTIONS["__prompts__"]) == asked


@pytest.mark.parametrize("question", CHOICES)
def test_a_wrong_choice_on_the_command_line_is_the_engines(
    template: Path, tmp_path: Path, question: str
) -> None:
    """The engine looks at it before it loads the template: it names the choices in a traceback."""
    shown = refuse(template, tmp_path, Way(("--no-input", f"{question}=maybe")))
    last = shown.splitlines()[-1]
    assert last.startswith(f"ValueError: maybe provided for choice variable {question}, but the")
    assert all(choice in last for choice in CHOICES[question])


@pytest.mark.parametrize("question", CHOICES)
def test_a_wrong_choice_in_a_replay_file_is_refused(
    template: Path, tmp_path: Path, question: str
) -> None:
    """The engine looks at no replayed answer, so the template does: one line."""
    shown = refuse(template, tmp_path, Way((), replayed=ANSWERS | {question: "maybe"}))
    assert shown == f"{question} 'maybe' must be one of: {', '.join(CHOICES[question])}\n"


def without(question: str) -> dict[str, object]:
    """Return answers to all questions but one."""
    return {asked: answer for asked, answer in ANSWERS.items() if asked != question}


@pytest.mark.parametrize("question", ["project_slug", "package_name"])
def test_a_replay_file_that_lacks_a_name_is_the_engines(
    template: Path, tmp_path: Path, question: str
) -> None:
    """It asks only for what is missing, without this template's code; nothing is written."""
    refuse(template, tmp_path, Way((), typed="\n", replayed=without(question)))


@pytest.mark.parametrize("question", ["description", "license", "__year"])
def test_a_replay_file_that_lacks_another_answer_gets_the_default(
    template: Path, tmp_path: Path, question: str
) -> None:
    """Those that come from no other answer are taken as if asked."""
    done = render(template, tmp_path, Way((), typed="\n", replayed=without(question)))
    assert done.returncode == 0, done.stdout
    assert b"MIT License" in BakedProject.at(tmp_path / "output" / "photo-index").files["LICENSE"]


@pytest.mark.parametrize("answer", [True, 1, None, ["process"], {"a": 1}])
def test_an_answer_that_is_no_text_is_refused(
    template: Path, tmp_path: Path, answer: object
) -> None:
    """A replay file can hold any JSON."""
    shown = refuse(template, tmp_path, Way((), replayed=ANSWERS | {"project_name": answer}))
    assert shown == f"project_name {answer!r} must be text\n"


def test_a_wrong_choice_in_a_user_config_is_left_out(template: Path, tmp_path: Path) -> None:
    """The engine warns, names the choices and takes the default."""
    done = render(template, tmp_path, Way(config={"license": "WTFPL"}))
    assert done.returncode == 0
    assert "WTFPL provided for choice variable license, but the choices are ['MIT'," in done.stdout
    assert b"MIT License" in BakedProject.at(tmp_path / "output" / "file-digest").files["LICENSE"]


def test_an_unknown_question_is_ignored(bake: Bake) -> None:
    """The engine drops it before the template is loaded, so it cannot be refused."""
    assert bake(no_such_question="x").files == bake().files


@pytest.mark.parametrize("question", ["project_name", "description", "author_name", "author_email"])
def test_text_that_is_not_unicode_is_refused(bake: Bake, question: str) -> None:
    """A file could not hold it; on the command line it is a byte that is not UTF-8."""
    with pytest.raises(FailedHookException, match=f"^{question} .* is not valid Unicode"):
        bake(project_slug="photo", **{question: "caf\udce9"})


def test_replay_renders_the_same_again(template: Path, tmp_path: Path) -> None:
    """`cookiecutter --replay` repeats the last answers and asks nothing."""
    answers = ("project_name=Photo Index", 'description={{ "as typed" }}', "license=Apache-2.0")
    first = render(template, tmp_path, Way(("--no-input", *answers)))
    assert first.returncode == 0, first.stdout
    output = (tmp_path / "output").rename(tmp_path / "first")
    again = render(template, tmp_path, Way(("--replay",)))
    assert again.returncode == 0, again.stdout
    files = BakedProject.at(tmp_path / "output" / "photo-index").files
    assert files == BakedProject.at(output / "photo-index").files


@pytest.mark.parametrize("job", CHOICES["job"])
def test_a_new_project_says_what_to_do_next(template: Path, tmp_path: Path, job: str) -> None:
    """Three lines: run it, test it, make it yours. Nothing else is printed."""
    done = render(template, tmp_path, Way(("--no-input", f"job={job}")))
    assert done.returncode == 0
    starts = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert starts == ["Run it", "Test it", "Make it yours"]


def test_hooks_write_nothing(template: Path, tmp_path: Path, bake: Bake) -> None:
    """`cruft update` runs them too; so a project is what its files render to."""
    done = render(template, tmp_path, Way(("--no-input",)))
    assert done.returncode == 0
    assert BakedProject.at(tmp_path / "output" / "file-digest").files == bake().files


@pytest.mark.parametrize("examples", CHOICES["include_examples"])
@pytest.mark.parametrize("ci", CHOICES["ci"])
def test_no_folder_is_left_empty(template: Path, tmp_path: Path, ci: str, examples: str) -> None:
    """A folder whose files belong to another choice is not there either."""
    answers = (f"ci={ci}", f"include_examples={examples}")
    done = render(template, tmp_path, Way(("--no-input", *answers)))
    assert done.returncode == 0, done.stdout
    folders = [path for path in (tmp_path / "output").rglob("*") if path.is_dir()]
    assert [folder for folder in folders if not any(folder.iterdir())] == []
