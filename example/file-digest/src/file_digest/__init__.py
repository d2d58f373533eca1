"""A service that does its items in worker processes and writes one log. See README.md."""
