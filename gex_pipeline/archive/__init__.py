"""APP: from the tape to the lake, a part at a time."""
