"""``python -m decoct``."""

from decoct.cli import main

if __name__ == "__main__":
    main()
