"""`python -m busbar` is `busbar`."""

from busbar.cli import main

main()
