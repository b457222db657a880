"""How a delivery leaves the box: one module a kind of destination."""
