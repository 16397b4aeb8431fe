"""`python -m noescape`."""

from noescape.cli.main import entry

if __name__ == "__main__":
    entry()
