"""How outcomes come in, and how what is known goes out to every process.

What evidence is worth is decided in app.domain; here it is only moved and kept.
"""
