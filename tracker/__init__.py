"""The tracker: answers views, clicks and conversions from live core data."""
