"""`python -m nudgebot` is the `nudgebot` command."""

from nudgebot.cli import main

if __name__ == "__main__":
    main()
