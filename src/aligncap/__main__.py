"""``python -m aligncap``."""

from aligncap.cli import main

if __name__ == "__main__":
    main()
