"""Whatever people type comes back from every file of the project."""

import ast
import json
import tomllib
import zipfile
from typing import Any

import pytest
import yaml
from baked import BakedProject
from conftest import Bake
from cookiecutter.exceptions import FailedHookException
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from tools import use

from cookiecutter_multiprocessing_answers import is_address, one_line

NASTY = [
    "",
    " ",
    "plain",
    'it\'s "quoted" `three` ways',
    "'''",
    '"""',
    "\\",
    "trailing \\",
    "\\n \\u0041 \\x41",
    "two\nlines",
    "\r\n\t\v\f",
    "\x00\x1b\x7f\x80\x85\x9f",
    "\u2028\u2029\ufeff\ufffe",
    "🎉 👩‍👩‍👧‍👦",
    "العربية \u202eRTL\u202c עברית",
    "{{",
    "}}",
    "{%",
    "{#",
    "#}",
    "#% if x",
    "{{ cookiecutter.project_slug }}",
    "{{cookiecutter.project_slug}}",
    "{{ cookiecutter.project_name | slugify }}",
    "{% now 'utc', '%Y' %}",
    "{{ 1 / 0 }}",
    "{% raw %}{% endraw %}",
    "# heading",
    "Learning C #",
    "a ##",
    "- item",
    "1. item",
    "```",
    "<!-- ",
    "<script>alert(1)</script>",
    "[x]: /url",
    "&amp;",
    "===",
    "***",
    "~~~",
    "| a | b |",
    "key: value",
    "- !!python/object",
    "&anchor *alias",
    "%TAG",
    "$(touch /tmp/x) `id` $HOME",
    "ada@example.org",
    "a@b",
    "not an address",
    "no",
    "null",
    "1e3",
]
BLANK = [text for text in NASTY if not one_line(text)]
ANYTHING = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]))
ANSWERS = st.fixed_dictionaries(
    {
        "project_name": ANYTHING.filter(one_line),
        "description": ANYTHING,
        "author_name": ANYTHING,
        "author_email": st.emails().filter(is_address) | st.sampled_from(BLANK),
        "license": st.sampled_from(["MIT", "BSD-3-Clause", "Apache-2.0", "Proprietary"]),
        "ci": st.sampled_from(["github", "gitlab"]),
    }
)


@given(answers=ANSWERS)
def test_any_text_comes_back(bake_again: Bake, answers: dict[str, str]) -> None:
    """Every file parses, and holds the text that was typed, on one line where it needs to be."""
    project = bake_again(project_slug="any-text", **answers)
    assert_every_file_parses(project)
    assert_text_comes_back(project, answers)


@pytest.mark.parametrize("text", NASTY)
def test_nasty_text_comes_back(bake_again: Bake, text: str) -> None:
    """The same, with one text in every place."""
    answers = {
        "project_name": text if one_line(text) else "Blank",
        "description": text,
        "author_name": text,
        "author_email": text if is_address(text) else "",
    }
    project = bake_again(project_slug="any-text", **answers)
    assert_every_file_parses(project)
    assert_text_comes_back(project, answers)


@pytest.mark.parametrize("email", ["ada@example.org", "o'hara+x@a-b.example.org", "", " "])
def test_a_package_is_built_of_any_text(bake_again: Bake, email: str) -> None:
    """The build backend takes it as well, and the package's metadata holds it."""
    text = " ".join(NASTY)
    answers = {"description": text, "author_name": text, "author_email": email}
    project = bake_again(project_slug="any-text", project_name=text, **answers)
    use("uv", "build", "--quiet", "--wheel", cwd=project.path)
    [built] = project.path.glob("dist/*.whl")
    with zipfile.ZipFile(built) as wheel:
        metadata = wheel.read("any_text-0.1.0.dist-info/METADATA").decode()
    assert f"\nSummary: {one_line(text)}\n" in metadata
    field = "\nAuthor-email: " if one_line(email) else "\nAuthor: "
    assert one_line(email) in metadata.partition(field)[2].partition("\nLicense")[0]


@pytest.mark.parametrize(
    "email",
    ["no address", "a@b", "a..b@c.org", ".a@b.org", "Ada <ada@example.org>", "a@b.org, c@d.org"],
)
def test_an_address_that_is_none_is_refused(bake: Bake, email: str) -> None:
    """The build backend would refuse it later; the line says what is allowed."""
    with pytest.raises(FailedHookException) as refused:
        bake(author_email=email)
    assert str(refused.value) == (
        f"author_email {email!r} is not an e-mail address; "
        "write one like 'ada@example.org', or leave it blank"
    )


def assert_every_file_parses(project: BakedProject) -> None:
    for name, content in project.files.items():
        parse(name, content.decode())


def parse(name: str, text: str) -> Any:
    if name.endswith(".py"):
        return ast.parse(text)
    if name.endswith(".toml"):
        return tomllib.loads(text)
    if name.endswith((".yml", ".yaml")):
        return yaml.safe_load(text)
    if name.endswith(".json"):
        return json.loads(text)
    return text


def assert_text_comes_back(project: BakedProject, answers: dict[str, str]) -> None:
    name, email = one_line(answers["author_name"]), one_line(answers["author_email"])
    metadata = tomllib.loads(project.files["pyproject.toml"].decode())["project"]
    assert metadata["description"] == one_line(answers["description"])
    assert [value for table in metadata["authors"] for value in table.values()] == [
        value for value in (name, email) if value
    ]
    assert all(is_address(table.get("email", "ada@example.org")) for table in metadata["authors"])
    title, description, *_ = shown(project.files["README.md"].decode())
    assert title == one_line(answers["project_name"])
    assert description == one_line(answers["description"]) or not one_line(answers["description"])
    licence = project.files.get("LICENSE", project.files.get("NOTICE", b"")).decode()
    assert f" {name}" in licence


def shown(source: str) -> list[str]:
    """Return what a reader sees of each heading and paragraph."""
    blocks = (token.children or [] for token in MarkdownIt().parse(source))
    return ["".join(part.content for part in parts) for parts in blocks if parts]
