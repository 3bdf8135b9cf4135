"""Reads a vmcore with the symbols of exactly its kernel, by drgn.

Runs on the machine that holds the dump, so it imports the standard library and drgn alone (boto3 only to download), and
nothing newer than Python 3.11. summary.py alone, which no such machine imports, knows the report. Owns analysis.json;
not the report that shows it.
"""
