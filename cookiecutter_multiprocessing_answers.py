"""The template's addition to Jinja: checks answers, and escapes them for each kind of file.

Cookiecutter builds one Jinja environment to ask the questions and another to write the files.
The extension beside this module prepares both, so a refused answer ends in one line before anything
is written, whether it was typed, came from the command line, a user config or a replay file, or
was derived.
"""

import json
import keyword
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from cookiecutter.exceptions import FailedHookException
from jinja2 import Environment
from jinja2.runtime import Context

HERE = Path(__file__).parent
PROJECT = HERE / "{{cookiecutter.project_slug}}"
QUESTIONS: dict[str, Any] = json.loads((HERE / "cookiecutter.json").read_text("utf-8"))


def _answered(question: str) -> bool:
    """Tell whether the default is rendered; the engine takes `_private` ones as they are."""
    return question != "__prompts__" and (question[0] != "_" or question.startswith("__"))


ASKED = sorted(filter(_answered, QUESTIONS), key=lambda one: isinstance(QUESTIONS[one], dict))
"""The questions, and the year, in the order in which the engine asks: dicts come last."""

CHOICES: dict[str, list[str]] = {
    question: [*map(str, asked)]
    for question, asked in QUESTIONS.items()
    # A choice may be a template of its own; what it renders to is not known here.
    if isinstance(asked, list) and question[0] != "_" and "{" not in str(asked)
}

LONGEST_NAME = 50
"""Leaves room for suffixes within a host name's label (63) and a file name (255)."""

ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
ADDRESS = re.compile(rf"{ATOM}(\.{ATOM})*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
YEAR = re.compile(r"[0-9]{4}")

JOINTS = {"project_slug": "-", "package_name": "_"}
"""The names that are checked, and what joins the words of each."""

# The generated project runs on Python 3.11 to 3.15; the Python that renders it knows one of them.
OTHER_KEYWORDS = "case lazy match type"
OTHER_MODULES = """aifc annotationlib asynchat asyncore audioop cgi cgitb chunk compression crypt
    distutils imghdr imp lib2to3 mailcap msilib nis nntplib ossaudiodev pipes profiling smtpd
    sndhdr spwd sunau telnetlib uu xdrlib"""
DEVICES = """aux con nul prn com0 com1 com2 com3 com4 com5 com6 com7 com8 com9
    lpt0 lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 lpt7 lpt8 lpt9"""
DEPENDENCIES = (HERE / "dependencies.txt").read_text("utf-8")
"""Names installed beside some generated project; `make names` resolves and writes them."""

ENVIRONMENT = """activate activate_this deactivate pip pip3 pkg_resources python python3 pythonw
    setuptools sitecustomize usercustomize uv uvx wheel"""
OWN = ["benchmarks", "conftest", "docs", "examples", "pyproject", "src", "test", "tests"]


def _own_modules() -> set[str]:
    """Return the modules that lie where a script looks first for the package."""
    written = PROJECT.glob("examples/*")
    rendered = (Path(re.sub(r"{%.*?%}", "", path.name)) for path in written)
    return {path.stem for path in rendered if path.suffix == ".py"}


TAKEN = {
    "is a Python keyword": {*map(str.lower, keyword.kwlist), *OTHER_KEYWORDS.split()},
    "is a module of Python's standard library": {
        *map(str.lower, sys.stdlib_module_names),
        *OTHER_MODULES.split(),
    },
    "is a device name on Windows": {*DEVICES.split()},
    "is a dependency of the generated project": {*DEPENDENCIES.split()},
    # The releases that may be installed differ; dependencies.txt is of the latest.
    "is a command of dask": {"dask_scheduler", "dask_spec", "dask_ssh", "dask_worker"},
    "is a folder that systemd keeps for itself": {"private"},
    "is a part of every virtual environment": {*ENVIRONMENT.split()},
    "is a name that the generated project uses itself": {
        *OWN,
        *_own_modules(),
    },
}

SERVICES = {*(HERE / "services.txt").read_text("utf-8").split()}
"""Well-known units: systemd reads one in /etc in place of a package's, so ours would replace it."""


def one_line(value: str) -> str:
    """Turn line breaks, control characters and runs of blanks into single blanks."""
    return re.sub(r"[ \x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", value).strip()


def escaped(value: str) -> str:
    """Write a text as it stands between the double quotes of both TOML and YAML.

    JSON is not that form: it writes an emoji as two surrogates, which TOML refuses, and leaves
    DEL, NEL and U+2028 as they are, which TOML refuses or YAML folds.
    """
    return "".join(map(_escaped_character, value))


def _escaped_character(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = f"{ord(character):x}"
    return f"\\u{code:0>4}" if len(code) <= len("ffff") else f"\\U{code:0>8}"


def markdown(value: str) -> str:
    """Write a text so that Markdown shows it as it is, on one line."""
    line = re.sub(r"([\\`*_\[\]<>~|&$#])", r"\\\1", one_line(value))
    return re.sub(r"^(\d*)([+\-=:.)])", r"\1\\\2", line)


def is_address(value: str) -> bool:
    """Tell whether build backends take a text for an e-mail address: they refuse what is none."""
    return ADDRESS.fullmatch(value) is not None


def check_answers(answers: Mapping[str, object]) -> None:
    """Refuse what no project can be made of.

    Args:
        answers: The questions answered so far; while questions are asked, not all of them.

    Raises:
        FailedHookException: With one line that names the answer, what is wrong and what is right.
    """
    for question in filter(answers.__contains__, ASKED):
        answer = answers[question]
        if problem := _problem(question, answer):
            raise FailedHookException(f"{question} {_shown(answer)} {problem}")


def _shown(answer: object) -> str:
    """Return an answer in quotes, in characters that the screen or file it is shown on can hold."""
    text = repr(answer)
    shown = text if len(text) <= LONGEST_NAME + 2 else f"{text[:LONGEST_NAME]}…"
    encoding = sys.stdout.encoding or "ascii"
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def _problem(question: str, answer: object) -> str:
    """Say what is wrong with an answer; an empty text if nothing is."""
    if isinstance(answer, str):
        return _text_problem(question, answer)
    # A fork may ask for yes or no, or for a dict, and derive a list.
    is_text = isinstance(QUESTIONS[question], str) or question in CHOICES
    return "must be text" if is_text else ""


@cache
def _text_problem(question: str, answer: str) -> str:
    """Say what is wrong with an answer that is text."""
    if any("\ud800" <= character <= "\udfff" for character in answer):
        return "is not valid Unicode; use a terminal and files in UTF-8"
    if answer not in CHOICES.get(question, [answer]):
        return f"must be one of: {', '.join(CHOICES[question])}"
    if question == "__year" and not YEAR.fullmatch(answer):
        return "must be a year, like '2026'"
    if question == "project_name" and not one_line(answer):
        return "must not be blank; call it 'Photo Index' or such"
    if question == "author_email" and (text := one_line(answer)) and not is_address(text):
        return "is not an e-mail address; write one like 'ada@example.org', or leave it blank"
    return _name_problem(answer, JOINTS[question]) if question in JOINTS else ""


def _name_problem(name: str, joint: str) -> str:
    if not re.fullmatch(rf"[a-z][a-z0-9]*({joint}[a-z0-9]+)*", name):
        rule = f"must be lower-case ASCII letters and digits joined by {joint}, a letter first"
        return f"{rule}, like 'photo{joint}index'"
    if len(name) > LONGEST_NAME:
        return f"has more than {LONGEST_NAME} characters; choose a short one, like 'photo'"
    for reason, names in TAKEN.items():
        if name.replace("-", "_") in names:
            return f"{reason}; choose another, like '{name}{joint}service'"
    if joint == JOINTS["project_slug"] and (name in SERVICES or name.startswith("systemd")):
        return f"is a service of many systems; choose another, like '{name}{joint}jobs'"
    return ""


class CheckedContext(Context):
    """The variables of one rendering; refused where no project can be made of them."""

    def __init__(self, environment: Environment, parent: Any, *rest: Any, **more: Any) -> None:
        """Check the answers before anything is rendered with them."""
        check_answers(parent.get("cookiecutter", {}))
        super().__init__(environment, parent, *rest, **more)


def prepare(environment: Environment) -> None:
    """Add the filters and the check to one of cookiecutter's environments.

    The options are set here and not in cookiecutter.json: a replay file remembers the private
    variables of its own revision, and a later one would be rendered with them.
    """
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.line_statement_prefix = "#%"
    environment.context_class = CheckedContext
    environment.filters |= {"escaped": escaped, "markdown": markdown, "one_line": one_line}
    environment.tests |= {"address": is_address, "answered": is_answered, "asking": is_asking}


def as_source(environment: Environment, source: str, name: str | None) -> str:
    """Make a literal of a source that is neither a file nor a string of this template.

    Cookiecutter renders what the command line and the user config hold: `{{` in a description
    would end in a traceback, and `cruft update` would render an old answer a second time. A default
    is a template while its own question is asked, and the folder's name once all are answered;
    somebody may have typed the same for another answer.
    """
    # Only the environment that writes files has a loader; the other one renders answers.
    if name or environment.loader or source in _hooks():
        return source
    literal = f"{{{{ {source!a} }}}}"
    if when := _when_templates().get(source):
        return f"{{% if cookiecutter is {when} %}}{source}{{% else %}}{literal}{{% endif %}}"
    return literal


def is_asking(answers: Mapping[str, object], question: str) -> bool:
    """Tell whether the default of ``question`` is rendered now: those before it are answered."""
    return question == next((one for one in ASKED if one not in answers), None)


def is_answered(answers: Mapping[str, object]) -> bool:
    """Tell whether every question is answered."""
    return all(question in answers for question in ASKED)


@cache
def _when_templates() -> dict[str, str]:
    """Return each text outside files that is a template, and the test that tells when it is one."""
    when = {PROJECT.name: "answered"}
    for question in ASKED:
        default = QUESTIONS[question]
        # The engine renders a derived dict before it knows all answers, and once more after.
        twice = isinstance(default, dict) and question.startswith("__")
        asking = "mapping" if twice else f"asking({question!r})"
        for text in _texts(default):
            when[text] = f"{when[text]} or cookiecutter is {asking}" if text in when else asking
    return when


def _texts(default: object) -> Iterator[str]:
    """Yield each template in a default: a text, or what is in a list or a dict."""
    if isinstance(default, dict):
        default = [*default, *default.values()]
    if isinstance(default, list):
        yield from chain.from_iterable(map(_texts, default))
    elif isinstance(default, str) and "{" in default:
        yield default


@cache
def _hooks() -> frozenset[str]:
    return frozenset(hook.read_text("utf-8") for hook in HERE.glob("hooks/*.py"))
