"""Every format in flight and at rest. Pure: msgspec and the standard library."""
