"""Which target is called first, which next, and why."""
