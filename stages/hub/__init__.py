"""The Hub: listed and written by its own client, read through the runtime.

The client reads its settings once, when it is imported: they are made here, before any module of this package runs.
"""

import os

if os.environ.get("HF_ENDPOINT", "").startswith("http://"):
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # a server without TLS is a mirror; none has Xet, and no way back
