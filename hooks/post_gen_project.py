"""Print the next steps, once. `cruft update` and `cruft diff` run this as well, and stay silent."""

import contextlib
import os
import tempfile

OUTPUT = {{ cookiecutter._output_dir | default("") | string | tojson }}
"""Only cookiecutter itself tells it."""

# The engine makes every folder of the template, also those whose files belong to other choices.
for folder in (".github/workflows", ".github", "examples"):
    with contextlib.suppress(OSError):  # not empty: it is this project's
        os.rmdir(folder)

temporary = os.path.join(os.path.realpath(tempfile.gettempdir()), "")
compared = not OUTPUT and os.path.realpath(".").startswith(temporary)  # as cruft does it
at_work = any(map(os.path.exists, (".git", ".venv", "uv.lock")))  # rendered over what is in use
if not (compared or at_work):
    {% if cookiecutter.job == "inbox" %}
    print("Run it:   cd {{ cookiecutter.project_slug }} && mkdir -p inbox && uv run {{ cookiecutter.project_slug }} run --poll 1 inbox")
    {% elif cookiecutter.job == "postgres" %}
    print("Run it:   cd {{ cookiecutter.project_slug }} && uv run {{ cookiecutter.project_slug }} run --poll 1")
    {% else %}
    print("Run it:   cd {{ cookiecutter.project_slug }} && uv run {{ cookiecutter.project_slug }} run src")
    {% endif %}
    print("Test it:  uv run pytest    (without uv: see README.md)")
    print("Make it yours: src/{{ cookiecutter.package_name }}/job.py")
