"""Does the comparison keep its promises? Simulated studies with a known optimum, and what became of them."""
