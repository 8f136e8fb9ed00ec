"""Hosts a Lambda function on a stream, with the rules of Lambda's event source mapping."""
