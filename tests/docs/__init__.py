"""README.md and docs/ hold what a reader can do: every command and answer in them is tried on one stack."""
