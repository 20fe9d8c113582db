"""Anthropic's protocol: request in, answer out. Routing and failover belong in app.gateway."""
