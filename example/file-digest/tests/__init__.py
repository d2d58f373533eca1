"""The tests, a package so that what helps them is imported by relative names."""
