"""Documents that every process sees at once: how they are published, kept and recovered.

What stands in them, and what may, is decided in app.domain.config.
"""
