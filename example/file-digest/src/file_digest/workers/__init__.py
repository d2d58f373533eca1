"""The execution model: workers, and their supervision."""
