"""Jobs that tests run in place of job.py; each is copied by its file's name."""
