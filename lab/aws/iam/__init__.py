"""Permissions as AWS decides them: what a call asks for (requests.py), and what the policies say (policy.py)."""
