"""`/api/v1`: for programs with a token. `routes` what can be asked, `models` in which words, `document` the same as an OpenAPI document."""
