"""``python -m kvw``."""

from kvw.cli.main import entry

if __name__ == "__main__":
    entry()
