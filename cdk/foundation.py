"""What the code stands on: where it is, what it reads and writes. It changes seldom, never with the code."""

from msgspec import Struct

from cdk.cache import Cache
from cdk.config import Config
from cdk.network import Network
from cdk.profiles import Deployment
from cdk.storage import Storage
from cdk.streams import Streams


class Foundation(Struct, frozen=True, kw_only=True):
    """One deployment's parts that hold no code."""

    deployment: Deployment
    config: Config
    network: Network
    storage: Storage
    streams: Streams
    cache: Cache
