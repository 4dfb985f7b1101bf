"""Redis: settings, client, names of keys."""
