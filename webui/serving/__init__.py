"""HTTP over TLS for the pages: gunicorn's threads and parser, and a waiting room before them, so that no slow peer holds a thread."""
