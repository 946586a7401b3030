"""``python -m kvw``."""

from kvw.cli import entry

if __name__ == "__main__":
    entry()
