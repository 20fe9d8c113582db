"""HTTP/1.1 as bytes: connections, framing, server-sent events, clocks. No wire format is known here."""
