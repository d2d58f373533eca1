"""Commands that measure the job or show a run: ``scale``, ``timeline``, ``log``, dry runs."""
