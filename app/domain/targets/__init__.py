"""What a target can, and how long its calls may take: facts about models, without knowing who asks for what.

Who is asked in the end is decided in app.domain.routing and app.gateway.
"""
