"""`python -m gex_pipeline.cli` is `gex`."""

from gex_pipeline.cli import main

if __name__ == "__main__":
    main()
