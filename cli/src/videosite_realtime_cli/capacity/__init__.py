"""How large a cluster has to be: unit costs that were measured, and the arithmetic on them."""
