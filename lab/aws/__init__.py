"""The emulated account: moto, and in one file a service what moto lacks or gets wrong. `account` is the way in."""

import os

# Else moto loads ten thousand images whenever an account begins or ends; none is needed.
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
