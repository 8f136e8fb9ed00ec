"""The agents: thin loops over pure rules."""
