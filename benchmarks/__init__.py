"""The benchmarks: this box against independent programs in the same run, on the same machine (`make bench`)."""
