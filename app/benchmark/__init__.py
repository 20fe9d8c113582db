"""MAIN PATH 1: rounds, from their start to the revision they lead to.

`benchmark` is the path; the others are its steps. Rules without I/O belong in app.domain, statements in app.store.
"""
