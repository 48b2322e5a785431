"""Films: a folder of films or of segments of films, cut into clips of sound with the pictures shown meanwhile."""
