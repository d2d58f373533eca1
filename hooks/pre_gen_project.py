"""Look at the final names once more.

`extensions.Answers` has refused bad answers before this runs. A replay file from elsewhere can
leave that extension out, though; then this is what keeps a half-written project from being left.
"""

import re
import sys

SLUG = {{ cookiecutter.project_slug | string | tojson }}
PACKAGE = {{ cookiecutter.package_name | string | tojson }}
EXTENSIONS = {{ cookiecutter._extensions | list | string | tojson }}

if "extensions.Answers" not in EXTENSIONS:
    sys.exit("_extensions must list 'extensions.Answers'; answer the questions again")
if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", SLUG):
    sys.exit("project_slug must look like 'photo-index'")
if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", PACKAGE):
    sys.exit("package_name must look like 'photo_index'")
