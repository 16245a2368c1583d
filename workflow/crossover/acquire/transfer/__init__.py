"""Transfer files over a network, and verify them."""
