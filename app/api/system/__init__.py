"""/api/v1/system: config, rounds, evidence and keys, as thin views."""
