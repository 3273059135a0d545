"""The live engine: the tape in, exposure snapshots, chains and recorded seconds out."""
