"""EDGE: the lake: committed parts of the tapes, the chain that names them, SQL over it."""
