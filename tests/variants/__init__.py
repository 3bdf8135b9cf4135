"""Accounts that are not the usual one: each test deploys its own, which no other may live beside in a process."""
