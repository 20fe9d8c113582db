"""What is known of a target, and how one more outcome changes it."""
