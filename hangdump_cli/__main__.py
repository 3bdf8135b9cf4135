"""`python -m hangdump_cli`, for a checkout."""

from hangdump_cli.app import main

main()
