"""The wire formats as a provider speaks them: the lab's own reading, on purpose not shared with app.providers."""
