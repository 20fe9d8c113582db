"""Who may ask how much: stored keys and rates, shared by all processes. HTTP belongs in app.api."""
