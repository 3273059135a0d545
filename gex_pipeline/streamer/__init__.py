"""The app that joins a source's stream and REST chains to the tape: spool first, then hot store."""
