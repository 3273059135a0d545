"""Hot store: the server, its keys, and the tape that spool, sender and reader share."""
