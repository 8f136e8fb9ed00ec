"""Stream workers: the runtime, the agents, and the command line that runs them."""
