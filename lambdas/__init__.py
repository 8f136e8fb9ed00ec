"""What Lambda runs on each stream: `persist` and `refresh`."""
