"""Look at the final names once more.

`cookiecutter_multiprocessing_extensions.Answers` has refused bad answers before this runs. A replay
file from elsewhere can leave that extension out, though; then this is what keeps a half-written
project from being left.
"""

import re
import sys

SLUG = {{ cookiecutter.project_slug | string | tojson }}
PACKAGE = {{ cookiecutter.package_name | string | tojson }}
EXTENSIONS = {{ cookiecutter._extensions | list | string | tojson }}

OURS = "cookiecutter_multiprocessing_extensions.Answers"
if OURS not in EXTENSIONS:
    sys.exit("_extensions must list {!r}; answer the questions again".format(OURS))
if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", SLUG):
    sys.exit("project_slug must look like 'photo-index'")
if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", PACKAGE):
    sys.exit("package_name must look like 'photo_index'")
