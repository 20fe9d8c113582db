"""Faults on a whole stack, each told by a row: what was done, what was seen from outside, whether it holds.

relay.py is a half-open line between two parts, world.py the stack and its servers, oracle.py what must hold after any
fault, story.py one fault from its beginning to its row; conftest.py prints the rows at the end.
"""
