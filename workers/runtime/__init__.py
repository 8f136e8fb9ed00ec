"""What runs stream agents. It knows no agent.

To read it in one sitting, in this order:

    agents.py stream.py table.py window.py sink.py      what an agent is, and what it is given
    run.py state.py shard.py feed.py source.py          an agent on one shard: it reads, runs and commits
    log.py state_table.py restore.py                    what it knows, where the next owner finds it
    leases.py lease_table.py keeper.py worker.py        who runs it: workers that share the shards
    testing.py                                          the same in memory, with a clock that a test turns

actor.py is what the tracker is made of; supervisor.py keeps alive whatever runs for long.
"""
