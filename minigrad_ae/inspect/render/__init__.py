"""A recording made visible: on a terminal, as one HTML page, as a picture."""
