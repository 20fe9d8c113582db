"""What a round may cost, how well it measured, and what is new in it."""
