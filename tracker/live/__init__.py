"""The live page's room: what is known now, followed while somebody watches, and told."""
