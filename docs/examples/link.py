"""Signs a link that leads to a URL of its own: link.py TRACKER PROGRAM KEY URL"""

import hashlib
import hmac
import sys
from base64 import urlsafe_b64encode
from urllib.parse import urlencode

tracker, program, key, url = sys.argv[1:]
signature = urlsafe_b64encode(hmac.digest(key.encode(), url.encode(), hashlib.sha256)).decode().rstrip("=")
print(f"{tracker}/click/{program}?{urlencode({'url': url, 'signature': signature})}")
