"""The lab: simulated providers that speak the providers' real wire formats over HTTP, or play a recorded trace.

Everything it serves is labelled (`x-lab-simulated: 1`), and nothing outside this package and the command line knows
of it: a provider is pointed at the lab by its base URL alone.
"""
