"""MAIN PATH 2: requests, from the route to the record of what became of them.

`gateway` is the path. Nothing in here waits for Postgres or Redis, and nothing knows an HTTP protocol of clients.
"""
