"""A USD stage as meshes, cameras, lights and poses, and everything that is drawn at random about them."""
