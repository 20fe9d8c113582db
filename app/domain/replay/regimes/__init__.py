"""Simulated time as numbers: what providers are like, and what becomes of them. docs/routing.md, "Regimes"."""
