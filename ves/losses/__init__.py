"""What training minimises, from a matrix of similarities."""
