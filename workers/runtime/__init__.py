"""Actors, sources, hosts and what keeps them alive. Knows no agent."""
