"""The Hub: listed and written by its own client, read through the runtime.

The client reads its settings once, when it is imported: they are made here, before any module of this package runs.
"""

import os

if os.environ.get("HF_ENDPOINT", "").startswith("http://"):
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # a server without TLS is a mirror; none has Xet, and no way back
for _bundle in (os.environ.get("REQUESTS_CA_BUNDLE"), os.environ.get("CURL_CA_BUNDLE")):
    if _bundle and os.path.isfile(_bundle):  # noqa: PTH113 - no path of this folder is made here
        os.environ.setdefault("SSL_CERT_FILE", _bundle)  # the name that Xet's client knows; ours knows all of them
