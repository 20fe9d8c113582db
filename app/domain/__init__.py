"""The rules, pure: no I/O, and time is a parameter. The vocabulary stands here, each question in a folder."""
