"""The journal of outcomes, its export, and the state of a run."""
