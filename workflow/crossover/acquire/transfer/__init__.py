"""Moving bytes over a network, and checking them."""
