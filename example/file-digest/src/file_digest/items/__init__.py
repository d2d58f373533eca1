"""Items and their outcomes; nothing here knows about processes."""
