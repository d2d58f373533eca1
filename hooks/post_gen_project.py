"""Print the next steps. `cruft update` and `cruft diff` run this as well, in folders of their own."""

import contextlib
import os

# The engine makes every folder of the template, also those whose files belong to other choices.
for folder in (".github/workflows", ".github", "examples"):
    with contextlib.suppress(OSError):  # not empty: it is this project's
        os.rmdir(folder)

print("Run it:   cd {{ cookiecutter.project_slug }} && uv run {{ cookiecutter.project_slug }} run .")
print("Test it:  uv run pytest    (without uv: see README.md)")
print("Make it yours: src/{{ cookiecutter.package_name }}/job.py")
