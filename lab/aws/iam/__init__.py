"""Permissions as AWS decides them.

Who calls: in_process.py, over_http.py. What a call asks for: requests.py. What the policies say: policy.py.
"""
