"""The command line `hangdump`: shows what the stack knows, and starts what it does. Decides nothing of its own.

Runs with click, rich and botocore alone, so that `pipx install` brings ten packages. Of `lambdas` it imports only what
is pure standard library: names, errors, advice, and the rules about an instance.
"""
