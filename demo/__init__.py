"""The main job on real services, seen from the chairs of the people who use them."""
