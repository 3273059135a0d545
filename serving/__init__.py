"""The HTTP face: routes, keys, live push and the page, on gex_pipeline.gateway alone."""
