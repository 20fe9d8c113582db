"""Traces through the code that serves traffic, beside baselines; no servers."""
