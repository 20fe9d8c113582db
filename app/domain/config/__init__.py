"""The live document that steers routing: schema, merge, history."""
