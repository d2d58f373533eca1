"""Every combination of answers renders to a project that is right as it stands."""

import itertools
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import CHOICES, Bake, first_always
from tools import use
from validate_pyproject.api import Validator

# Licences are dealt out to the combinations of all else: they change a file and some lines of text.
OTHERS = [question for question in CHOICES if question != "license"]
COMBINATIONS = [
    {**dict(zip(OTHERS, combination, strict=True)), "license": licence}
    for combination, licence in zip(
        itertools.product(*(CHOICES[question] for question in OTHERS)),
        itertools.cycle(CHOICES["license"] + CHOICES["license"][::-1]),
        strict=False,
    )
]
every_combination = pytest.mark.parametrize(
    "answers",
    [
        # One combination is rendered by one of pytest-xdist's workers.
        pytest.param(answers, id=name, marks=pytest.mark.xdist_group(name))
        for answers in COMBINATIONS
        for name in ["-".join(answers.values())]
    ],
)

ALWAYS = {".gitattributes", ".gitignore", ".pre-commit-config.yaml", "README.md", "pyproject.toml"}
CHOSEN = {
    ("container", "yes"): {
        *(".dockerignore", "Dockerfile", "compose.yaml"),
        *("file-digest.dashboard.json", "file-digest.logrotate", "file-digest.service"),
    },
    ("ci", "github"): {".github/dependabot.yml", ".github/workflows/ci.yml"},
    ("ci", "gitlab"): {".gitlab-ci.yml", "renovate.json"},
    ("license", "MIT"): {"LICENSE"},
    ("license", "BSD-3-Clause"): {"LICENSE"},
    ("license", "Apache-2.0"): {"LICENSE"},
    ("license", "Proprietary"): {"NOTICE"},
}
DEPENDENCIES = {
    ("execution_model", "dask"): {"distributed"},
    ("job", "inbox"): {"watchfiles"},
    ("job", "postgres"): {"psycopg[binary]"},
}
CODE = ("src/", "tests/", "examples/")
THE_JOBS = {"src/file_digest/job.py", "tests/test_job.py", "tests/support/postgres.py"}
CODES = [
    *(
        {"execution_model": model, "include_examples": examples}
        for model in CHOICES["execution_model"]
        for examples in CHOICES["include_examples"]
    ),
    *({"job": job} for job in CHOICES["job"][1:]),
]
"""Answers whose code is all the code that there is: see test_only_three_questions_change_code."""
CONDITION = re.compile(r"{% if cookiecutter\.(\w+) ([!=]=) '(\S+)' %}(.+){% endif %}")


def test_any_two_choices_are_rendered_together() -> None:
    """Every pair of choices is rendered: most faults of combinations show with two choices."""
    pairs = {
        pair for answers in COMBINATIONS for pair in itertools.combinations(answers.items(), 2)
    }
    expected = {
        ((first, one), (second, other))
        for first, second in itertools.combinations(COMBINATIONS[0], 2)
        for one, other in itertools.product(CHOICES[first], CHOICES[second])
    }
    assert pairs == expected


@every_combination
def test_exactly_the_chosen_files(bake: Bake, template: Path, answers: dict[str, str]) -> None:
    """A file is there because it was chosen, and for no other reason."""
    expected = ALWAYS.union(*(CHOSEN.get(choice, set()) for choice in answers.items()))
    assert set(bake(**answers).files) == expected | chosen_code(template, answers)


def chosen_code(template: Path, answers: dict[str, str]) -> set[str]:
    """Return the code that the template has for these answers, by its own file names."""
    folder = template / "{{cookiecutter.project_slug}}"
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    code = (name for name in names if name.startswith(CODE))
    return {
        CONDITION.sub(r"\4", name).replace("{{cookiecutter.package_name}}", "file_digest")
        for name in code
        if all(
            (answers[question] == choice) == (operator == "==")
            for question, operator, choice, _ in CONDITION.findall(name)
        )
    }


@every_combination
def test_nothing_of_the_template_is_left(bake: Bake, answers: dict[str, str]) -> None:
    """No file shows that a template engine has been at work, and all end in one line break."""
    for name, content in bake(**answers).files.items():
        text = content.decode()
        assert not re.search(r"cookiecutter\.\w|{%|{#|^#%|(?<!\$){{ ", text, re.MULTILINE), name
        assert text == "" or re.search(r"[^\n]\n\Z", text), name
        assert "\r" not in text, name


@pytest.mark.thorough
@every_combination
def test_rendering_again_gives_the_same_bytes(
    bake: Bake, bake_again: Bake, answers: dict[str, str]
) -> None:
    """Nothing depends on the clock, on chance or on an order."""
    assert bake_again(**answers).files == bake(**answers).files


@pytest.mark.parametrize("answers", CODES, ids=["-".join(code.values()) for code in CODES])
def test_ruff_finds_nothing_to_change(bake: Bake, answers: dict[str, str]) -> None:
    """Lint and format pass on the untouched project, under the project's own rules."""
    project = bake(**answers)
    use("ruff", "check", "--no-cache", ".", cwd=project.path)
    use("ruff", "format", "--no-cache", "--check", "--diff", ".", cwd=project.path)


@every_combination
def test_metadata_is_valid(bake: Bake, answers: dict[str, str]) -> None:
    """pyproject.toml keeps to the standards, and says what was chosen."""
    metadata = Validator()(tomllib.loads(bake(**answers).files["pyproject.toml"].decode()))
    names = {requirement.partition(">")[0] for requirement in metadata["project"]["dependencies"]}
    chosen = set().union(*(DEPENDENCIES.get(choice, set()) for choice in answers.items()))
    assert names == {"click", "psutil", "python-json-logger", "rich"} | chosen
    proprietary = answers["license"] == "Proprietary"
    assert metadata["project"]["license"].removeprefix("LicenseRef-") == answers["license"]
    assert ("Private :: Do Not Upload" in metadata["project"]["classifiers"]) == proprietary
    assert metadata["project"]["license-files"] == ["NOTICE" if proprietary else "LICENSE"]


@every_combination
def test_only_three_questions_change_code(bake: Bake, answers: dict[str, str]) -> None:
    """So that type-checking and running the code of those three is checking all of it.

    The job is a few files, the same whatever the execution model, so one model checks each job.
    """
    changing = {question: answers[question] for question in ("execution_model", "include_examples")}
    code, files = bake(**answers).code, bake(**changing).code
    job = bake(job=answers["job"]).code
    assert code == files | {name: job[name] for name in THE_JOBS & job.keys()}


@pytest.mark.parametrize("platform", first_always(["linux", "darwin", "win32"]))
@pytest.mark.parametrize("answers", CODES, ids=["-".join(code.values()) for code in CODES])
def test_mypy_strict_finds_nothing(bake: Bake, answers: dict[str, str], platform: str) -> None:
    """Types pass on the untouched project, under its own rules, for each system it runs on."""
    bake(**answers).run("mypy", "--platform", platform)


@pytest.mark.parametrize("answers", CODES, ids=["-".join(code.values()) for code in CODES])
def test_imports_have_one_direction(bake: Bake, answers: dict[str, str]) -> None:
    """No layer imports from one above it, and the job imports from none."""
    bake(**answers).run("lint-imports")


@pytest.mark.parametrize("slug", ["x", "a" * 50, "z-index"])
def test_code_stays_formatted_under_any_name(bake: Bake, slug: str) -> None:
    """A long import wraps and a short one does not, and imports sort by name."""
    project = bake(project_slug=slug)
    use("ruff", "check", "--no-cache", ".", cwd=project.path)
    use("ruff", "format", "--no-cache", "--check", "--diff", ".", cwd=project.path)


@pytest.mark.parametrize(
    ("licence", "owned", "lines"),
    [
        ("MIT", "MIT License\n\nCopyright (c) 1815 Ada L.\n\nPermission is hereby granted", 21),
        ("BSD-3-Clause", "BSD 3-Clause License\n\nCopyright (c) 1815, Ada L.\n\nRedist", 28),
        ("Apache-2.0", "\n   Copyright 1815 Ada L.\n\n   Licensed under the Apache License", 202),
        ("Proprietary", "Copyright (c) 1815 Ada L.\nAll rights reserved.\n\nThis software", 5),
    ],
)
def test_licence_names_year_and_author(bake: Bake, licence: str, owned: str, lines: int) -> None:
    """The text is whole, and says whose it is and since when."""
    project = bake(license=licence, author_name="Ada\nL.", __year="1815")
    name = "NOTICE" if licence == "Proprietary" else "LICENSE"
    text = project.files[name].decode()
    assert owned in text
    assert len(text.splitlines()) == lines
    assert f"]({name})" in project.files["README.md"].decode()


def test_the_year_is_this_year(bake: Bake) -> None:
    """A new project's copyright starts today."""
    year = datetime.now(UTC).year
    assert f"Copyright (c) {year} Your Name" in bake().files["LICENSE"].decode()
