"""Print the next steps. Nothing else: `cruft update` and `cruft diff` run this as well."""

print("Run it:   cd {{ cookiecutter.project_slug }} && uv run {{ cookiecutter.project_slug }} run .")
print("Test it:  uv run pytest    (without uv: see README.md)")
print("Make it yours: src/{{ cookiecutter.package_name }}/job.py")
