"""Prints what is stored of each program as it changes: follow.py http://localhost:8080"""

import json
import sys

import httpx

with httpx.stream("GET", f"{sys.argv[1]}/live/stream", timeout=30) as stream:
    for line in stream.iter_lines():
        if line.startswith("data: "):
            for program, *counts in json.loads(line[6:]).get("totals", ()):
                print(program, "views {} clicks {} conversions {} invalid {}".format(*counts), flush=True)
