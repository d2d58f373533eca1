"""What is done stays done."""
