"""How engines get into a store: the order of a boot, building here, models on demand, and the doctor."""
