"""The execution model: who does the items."""
