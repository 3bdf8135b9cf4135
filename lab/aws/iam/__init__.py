"""Permissions as AWS decides them: who calls (in_process.py, over_http.py), what a call asks for (requests.py), and what
the policies say (policy.py)."""
