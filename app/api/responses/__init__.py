"""OpenAI's Responses: items in, items and their events out. Routing and failover belong in app.gateway."""
