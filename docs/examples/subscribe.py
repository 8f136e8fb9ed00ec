"""Prints changes of core data and totals as Redis publishes them: subscribe.py redis://127.0.0.1:6379"""

import json
import sys

from redis import Redis

channels = Redis.from_url(sys.argv[1]).pubsub(ignore_subscribe_messages=True)
channels.subscribe("programs", "programs:totals")
for message in channels.listen():
    told = json.loads(message["data"])
    print(told["sequence"], told["type"], told["programId"], flush=True)
