"""MiniStack, whose shard iterators live for seconds instead of the five minutes they have on AWS.

Each read leaves one behind, and each call looks at all of them: over minutes, a stack that merely waits for
events would take a core. A reader asks for a new iterator where its own has expired, here as on AWS.
"""

from ministack.app import main
from ministack.services import kinesis

ITERATOR_EXPIRY_S = 20

if __name__ == "__main__":
    kinesis.ITERATOR_EXPIRY_SECONDS = ITERATOR_EXPIRY_S
    main()
