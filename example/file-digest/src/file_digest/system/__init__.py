"""What the operating system does for the service."""
