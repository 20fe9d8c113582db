"""One file per provider format, with its settings: what is sent, and what an answer means. No sockets."""
