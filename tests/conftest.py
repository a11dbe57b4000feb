from __future__ import annotations

import os

os.environ["ALIGNCAP_CONFIG"] = ""  # the developer's own defaults must not change what the tests see
