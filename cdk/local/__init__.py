"""The whole system on one machine, with no Docker and no account."""
