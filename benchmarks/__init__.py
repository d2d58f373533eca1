"""The rendered service side by side with its peers: `make bench`."""
