"""APP: services as processes of their own session, kept alive by whoever looks; imports none."""
