"""From a record to a line of the one file."""
