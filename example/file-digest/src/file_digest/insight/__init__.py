"""Measured on the job itself."""
