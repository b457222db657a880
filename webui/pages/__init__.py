"""The pages, one module a place: a blueprint with its views; what they say is in `webui/templates/<place>/`."""
