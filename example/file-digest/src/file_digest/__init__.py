"""A service that processes its items in worker processes and writes one log. See README.md."""

# To which a signal's number is added, as in a shell: 130 for SIGINT, 143 for SIGTERM.
STOPPED_BY_SIGNAL = 128

# What Python code imports; every module of the service is below it.
PACKAGE = __name__
