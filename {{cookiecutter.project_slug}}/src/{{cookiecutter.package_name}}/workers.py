{% include "workers_" ~ cookiecutter.execution_model ~ ".py" %}
