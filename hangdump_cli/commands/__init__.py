"""One module a command: it reads, has the pure modules judge, and prints."""
