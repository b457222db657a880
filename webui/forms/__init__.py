"""What people fill in, one module a place: forms whose fields have labels, and say what is wrong with them."""
