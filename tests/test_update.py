"""A project lives on: its owner's edits and the template's later revisions come together."""

import json
import shutil
from pathlib import Path

import pytest
from baked import TEMPLATE, BakedProject
from repository import Repository
from test_readme import blocks, shell
from tools import TOOLS, use

PROJECT = "{{cookiecutter.project_slug}}"
ANSWERS_FILE = "cookiecutter_multiprocessing_answers.py"
PACKAGE = f"{PROJECT}/src/{{{{cookiecutter.package_name}}}}"
JOB = f"{PACKAGE}/{{% if cookiecutter.job == 'files' %}}job.py{{% endif %}}"


class Project(Repository):
    """A project that cruft keeps up to date."""

    def cruft(self, command: str, *arguments: str) -> str:
        """Run cruft on it."""
        return use("cruft", command, *arguments, cwd=self.path).stdout

    @property
    def rejected(self) -> list[Path]:
        """Files of changes that an update could not apply."""
        return [*self.path.rglob("*.rej"), *self.path.rglob("*.orig")]


@pytest.fixture
def template_repository(template: Path, tmp_path: Path) -> Repository:
    """Clone the template, so that a test can make a later revision of it."""
    return Repository.begin(Path(shutil.copytree(template, tmp_path / "template")))


def create(template: Repository, **answers: str) -> Project:
    """Make a project of the template's present revision, and its first commit."""
    folder = template.path.parent
    answered = ("--extra-context", json.dumps(answers))
    options = ("--no-input", "--default-config", *answered, "--output-dir", folder)
    use("cruft", "create", template.path, *options, cwd=folder)
    return Project.begin(folder / "file-digest")


def test_new_project_is_up_to_date(template_repository: Repository) -> None:
    """`cruft check` and `cruft diff` find nothing right after creating."""
    project = create(template_repository)
    project.cruft("check")
    assert project.cruft("diff", "--exit-code") == ""
    assert project.git("status", "--short") == ""


def test_readme_commands_create_and_update(template_repository: Repository, tmp_path: Path) -> None:
    """As they are typed, beside a clone: made from the clone's origin, checked and updated."""
    create_it, check_and_update = (
        block.replace("uvx ", "")
        for block in blocks((TEMPLATE / "README.md").read_text("utf-8"))
        if "uvx cruft" in block
    )
    origin = str(template_repository.path)
    template_repository.git(
        "clone", "--quiet", origin, str(tmp_path / "cookiecutter-multiprocessing")
    )
    shell(create_it.replace("cruft create", "cruft create --no-input"), tmp_path, TOOLS)
    project = Project.begin(tmp_path / "file-digest")
    (template_repository.path / PROJECT / "NEWS.md").write_text("# News\n", "utf-8")
    check, update = check_and_update.splitlines()
    shell(check, project.path, TOOLS)
    template_repository.commit()
    shell(update.replace("cruft update", "cruft update --skip-apply-ask"), project.path, TOOLS)
    assert (project.path / "NEWS.md").exists()


def test_the_next_steps_are_told_once(template: Path, tmp_path: Path) -> None:
    """At the first rendering, by whichever tool; not over a project that is in use."""
    options = ("--no-input", "--default-config", "--overwrite-if-exists", "--output-dir", tmp_path)
    first = use("cookiecutter", template, *options, cwd=tmp_path)
    assert "Make it yours: src/file_digest/job.py" in first.stdout
    Repository.begin(tmp_path / "file-digest")
    assert use("cookiecutter", template, *options, cwd=tmp_path).stdout == ""


def test_update_keeps_the_owners_edits(template_repository: Repository) -> None:
    """The owner's job stays, what is new in the template arrives, in the same file too."""
    project = create(template_repository)
    job = "src/file_digest/job.py"
    project.edit(job, "CHUNK = 1 << 18", "CHUNK = 1 << 16  # measured on our disks")
    project.commit()

    template = template_repository
    template.edit(JOB, '"""YOURS: what', '"""Yours: what')
    template.edit(f"{PACKAGE}/__init__.py", '"""\n', '"""\n\nEDITION = 2\n')
    (template.path / PROJECT / "NEWS.md").write_text("# {{ cookiecutter.project_slug }}\n", "utf-8")
    template.commit()
    assert "out of date" in use("cruft", "check", cwd=project.path, check=False).stdout
    project.cruft("update", "--skip-apply-ask")

    text = (project.path / job).read_text("utf-8")
    assert "CHUNK = 1 << 16  # measured on our disks" in text
    assert text.startswith('"""Yours: what')
    assert "EDITION = 2" in (project.path / "src/file_digest/__init__.py").read_text("utf-8")
    assert (project.path / "NEWS.md").read_text("utf-8") == "# file-digest\n"
    assert project.rejected == []
    project.cruft("check")
    BakedProject.at(project.path).run_tests("tests/test_job.py", "tests/test_cli.py")


@pytest.mark.parametrize("text", ["{{ braces }} and {% tags %}", 'a "quoted" \\ text', "Zoë's 🚀"])
def test_update_does_not_touch_the_owners_answers(
    template_repository: Repository, text: str
) -> None:
    """An answer that looks like a template is text, at the first rendering and at every other."""
    project = create(template_repository, description=text)
    before = (project.path / "pyproject.toml").read_text("utf-8")
    (template_repository.path / PROJECT / "NEWS.md").write_text("# News\n", "utf-8")
    template_repository.commit()
    project.cruft("update", "--skip-apply-ask")
    project.cruft("diff", "--exit-code")
    assert (project.path / "pyproject.toml").read_text("utf-8") == before
    assert (project.path / "NEWS.md").exists()


def test_update_renders_with_the_later_revisions_own_code(template_repository: Repository) -> None:
    """Filters, Jinja options, hooks and choices may change; a project takes them with an update."""
    project = create(template_repository)
    template = template_repository
    template.edit(ANSWERS_FILE, '"escaped": escaped,', '"escaped": escaped, "loud": str.upper,')
    template.edit(ANSWERS_FILE, 'line_statement_prefix = "#%"', 'line_statement_prefix = "#:"')
    template.edit("cookiecutter.json", '"ci": ["github",', '"edition": ["2"],\n  "ci": ["circle",')
    template.edit("hooks/pre_gen_project.py", "import sys", "import sys  # {{ cookiecutter.ci }}")
    for file in (template.path / PROJECT).rglob("*"):
        if file.is_file() and "#%" in (text := file.read_text("utf-8")):
            file.write_text(text.replace("#%", "#:"), "utf-8")
    news = "{{ cookiecutter.project_name | loud }} {{ cookiecutter.edition }}\n"
    (template.path / PROJECT / "NEWS.md").write_text(news, "utf-8")
    template.commit()
    project.cruft("update", "--skip-apply-ask", "--variables-to-update", '{"ci": "circle"}')
    assert (project.path / "NEWS.md").read_text("utf-8") == "FILE DIGEST 2\n"
    assert "#:" not in (project.path / "pyproject.toml").read_text("utf-8")


@pytest.fixture(autouse=True)
def no_settings_of_this_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep what this machine's user has set for git and cookiecutter out of the tests."""
    config = tmp_path / "cookiecutter.yaml"
    folders = {name: str(tmp_path / name) for name in ("cookiecutters_dir", "replay_dir")}
    config.write_text(json.dumps(folders), "utf-8")
    monkeypatch.setenv("COOKIECUTTER_CONFIG", str(config))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "no-such-file"))
