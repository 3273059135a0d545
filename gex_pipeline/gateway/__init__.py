"""All that the API, the page and the chat bot may reach: figures, services, keys."""
