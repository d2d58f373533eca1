"""Processes, signals, files, limits and clocks of the operating system."""
